"""The eight tables of TPC-H, small: some hundred rows that the 22 queries find something in."""

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa

TPCH_SCHEMA = "tpch.tiny"  # its catalog and schema
_MONEY = pa.decimal128(15, 2)
_KEY = pa.int64()
_TEXT = pa.utf8()
_DAY = pa.date32()
_FIRST_DAY = dt.date(1992, 1, 1)
_REGIONS = ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")
_NATIONS = (("ALGERIA", 0), ("BRAZIL", 1), ("CANADA", 1), ("CHINA", 2), ("FRANCE", 3),
            ("GERMANY", 3), ("INDIA", 2), ("JAPAN", 2), ("KENYA", 0), ("PERU", 1),
            ("SAUDI ARABIA", 4), ("UNITED KINGDOM", 3))  # fmt: skip
_COUNTRY_CODES = (13, 31, 23, 29, 30, 18, 17, 11)
_BRANDS = ("Brand#12", "Brand#23", "Brand#34", "Brand#45")
_TYPES = ("ECONOMY ANODIZED STEEL", "PROMO BRUSHED BRASS", "MEDIUM POLISHED TIN", "SMALL BRASS")
_CONTAINERS = ("SM CASE", "SM BOX", "MED BOX", "MED BAG", "LG CASE", "LG PKG")
_COLORS = ("green", "forest", "ivory", "navy")
_MODES = ("AIR", "AIR REG", "MAIL", "SHIP", "TRUCK")
_PRIORITIES = ("1-URGENT", "2-HIGH", "3-MEDIUM", "5-LOW")
_SEGMENTS = ("BUILDING", "MACHINERY", "HOUSEHOLD")
_SIZES = (1, 3, 9, 14, 15, 23, 36, 49)

_COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "region": {"r_regionkey": _KEY, "r_name": _TEXT, "r_comment": _TEXT},
    "nation": {"n_nationkey": _KEY, "n_name": _TEXT, "n_regionkey": _KEY, "n_comment": _TEXT},
    "supplier": {"s_suppkey": _KEY, "s_name": _TEXT, "s_address": _TEXT, "s_nationkey": _KEY,
                 "s_phone": _TEXT, "s_acctbal": _MONEY, "s_comment": _TEXT},
    "customer": {"c_custkey": _KEY, "c_name": _TEXT, "c_address": _TEXT, "c_nationkey": _KEY,
                 "c_phone": _TEXT, "c_acctbal": _MONEY, "c_mktsegment": _TEXT,
                 "c_comment": _TEXT},
    "part": {"p_partkey": _KEY, "p_name": _TEXT, "p_mfgr": _TEXT, "p_brand": _TEXT,
             "p_type": _TEXT, "p_size": pa.int32(), "p_container": _TEXT,
             "p_retailprice": _MONEY, "p_comment": _TEXT},
    "partsupp": {"ps_partkey": _KEY, "ps_suppkey": _KEY, "ps_availqty": pa.int32(),
                 "ps_supplycost": _MONEY, "ps_comment": _TEXT},
    "orders": {"o_orderkey": _KEY, "o_custkey": _KEY, "o_orderstatus": _TEXT,
               "o_totalprice": _MONEY, "o_orderdate": _DAY, "o_orderpriority": _TEXT,
               "o_clerk": _TEXT, "o_shippriority": pa.int32(), "o_comment": _TEXT},
    "lineitem": {"l_orderkey": _KEY, "l_partkey": _KEY, "l_suppkey": _KEY,
                 "l_linenumber": pa.int32(), "l_quantity": _MONEY, "l_extendedprice": _MONEY,
                 "l_discount": _MONEY, "l_tax": _MONEY, "l_returnflag": _TEXT,
                 "l_linestatus": _TEXT, "l_shipdate": _DAY, "l_commitdate": _DAY,
                 "l_receiptdate": _DAY, "l_shipinstruct": _TEXT, "l_shipmode": _TEXT,
                 "l_comment": _TEXT},
}  # fmt: skip


TPCH_TABLES = tuple(_COLUMNS)


def make_tpch() -> dict[str, pa.Table]:
    """Return the tables by name; the same at every call."""
    random = Random(22)  # noqa: S311  the same values at every call, and no secret
    makers: dict[str, tuple[int, Callable[[Random, int], Sequence[Any]]]] = {
        "region": (len(_REGIONS), lambda _, n: (n, _REGIONS[n], "far")),
        "nation": (len(_NATIONS), lambda _, n: (n, *_NATIONS[n], "wide")),
        "supplier": (20, _supplier),
        "customer": (60, _customer),
        "part": (60, _part),
        "partsupp": (240, _partsupp),
        "orders": (300, _order),
        "lineitem": (1200, _line),
    }
    return {name: _table(name, random, *makers[name]) for name in makers}


def _table(
    name: str, random: Random, row_count: int, make: Callable[[Random, int], Sequence[Any]]
) -> pa.Table:
    columns = _COLUMNS[name]
    rows = [make(random, number) for number in range(row_count)]
    arrays = [
        pa.array(values, kind)
        for values, kind in zip(zip(*rows, strict=True), columns.values(), strict=True)
    ]
    return pa.table(arrays, names=list(columns))


def _money(random: Random, low: int, high: int) -> Decimal:
    return Decimal(random.randint(low * 100, high * 100)) / 100


def _phone(random: Random) -> str:
    return f"{random.choice(_COUNTRY_CODES)}-{random.randint(100, 999)}"


def _supplier(random: Random, n: int) -> Sequence[Any]:
    comment = "Customer slow Complaints" if n % 7 == 3 else "swift"
    balance = _money(random, -900, 9000)
    nation = n % len(_NATIONS)
    return (n, f"Supplier#{n:03}", f"street {n}", nation, _phone(random), balance, comment)


def _customer(random: Random, n: int) -> Sequence[Any]:
    nation, segment = random.randrange(len(_NATIONS)), _SEGMENTS[n % 3]
    balance = _money(random, -900, 9000)
    return (n, f"Customer#{n:03}", f"road {n}", nation, _phone(random), balance, segment, "calm")


def _part(random: Random, n: int) -> Sequence[Any]:
    name = f"{_COLORS[n % 4]} {_COLORS[(n + 1) % 4]}"
    kind, box, size = random.choice(_TYPES), random.choice(_CONTAINERS), random.choice(_SIZES)
    price = _money(random, 900, 2000)
    return (n, name, f"Maker#{n % 5}", random.choice(_BRANDS), kind, size, box, price, "hard")


def _partsupp(random: Random, n: int) -> Sequence[Any]:
    part = n // 4
    supplier = (part + n % 4 * 5) % 20
    return (part, supplier, random.randint(1, 9999), _money(random, 1, 1000), "stored")


def _order(random: Random, n: int) -> Sequence[Any]:
    day = _FIRST_DAY + dt.timedelta(days=random.randrange(2400))
    comment = "special packed requests" if n % 9 == 0 else "plain"
    customer = random.randrange(40)  # a third of the customers order nothing
    state, urgency = "FOP"[n % 3], random.choice(_PRIORITIES)
    return (n, customer, state, _money(random, 900, 400_000), day, urgency, "clerk", 0, comment)


def _line(random: Random, n: int) -> Sequence[Any]:
    part = random.randrange(60)
    supplier = (part + random.randrange(4) * 5) % 20
    quantity, price = Decimal(random.randint(1, 50)), _money(random, 900, 90_000)
    discount, tax = Decimal(random.randint(0, 10)) / 100, Decimal(random.randint(0, 8)) / 100
    shipped = _FIRST_DAY + dt.timedelta(days=random.randrange(2400))
    promised, received = (shipped + dt.timedelta(days=random.randint(1, 60)) for _ in range(2))
    flags = (random.choice("ANR"), random.choice("FO"))
    handling = ("DELIVER IN PERSON", random.choice(_MODES), "line")
    keys = (n // 4, part, supplier, n % 4 + 1)
    return (*keys, quantity, price, discount, tax, *flags, shipped, promised, received, *handling)
