"""What SqlInfo can claim, each with a statement that shows whether it is so."""

from typing import NamedTuple

# `{t}` is the table of samples, `id` from 0 to 47.
SAMPLES = "aviation.lab.samples@hangzhou"


class Claim(NamedTuple):
    """A value, or one bit of it, and a statement that answers `rows` exactly where it is true.

    Attributes:
        info: The id of the value.
        bit: The bit that is meant; None for a value that is true or false.
        sql: The statement.
        rows: What it answers where the claim is true, columns in their order.
    """

    info: int
    bit: int | None
    sql: str
    rows: list[tuple[object, ...]]


CLAIMS = (
    Claim(515, None, "select id as other from {t} where id = 1", [(1,)]),
    Claim(516, None, "select null + null is null and 1 + null is null", [(True,)]),
    Claim(518, None, "select other.id from {t} other where other.id = 1", [(1,)]),
    Claim(520, None, "select id from {t} order by id * -1 limit 1", [(47,)]),
    Claim(521, None, "select word from {t} order by id limit 1", [("alpha",)]),
    Claim(522, 0, "select count(*) from {t} group by year order by year", [(24,), (24,)]),
    Claim(522, 1, "select min(id) from {t} group by year, year + id order by 1 limit 1", [(0,)]),
    Claim(523, None, r"select 'a%' like 'a\%' escape '\'", [(True,)]),
    Claim(536, None, "select id from {t} where id = 1 for update", [(1,)]),
    Claim(537, None, "call abs(-1)", [(1,)]),
    Claim(538, 0, "select id from {t} where id = (select max(id) from {t})", [(47,)]),
    Claim(538, 1, "select 1 from {t} where id = 1 and exists (select 1 from {t})", [(1,)]),
    Claim(538, 2, "select id from {t} where id in (select max(id) from {t})", [(47,)]),
    # The engine answers these two, and wrongly.
    Claim(
        538, 3, "select max(id) from {t} where id = any (select id from {t} where id < 2)", [(1,)]
    ),
    Claim(538, 3, "select id from {t} where id >= all (select id from {t})", [(47,)]),
    Claim(
        539,
        None,
        "select max(id) from {t} o where id = (select max(id) from {t} i where i.year = o.year)",
        [(47,)],
    ),
    Claim(540, 0, "select 1 from {t} union select 1 from {t}", [(1,)]),
    Claim(540, 1, "select id from {t} union all select id from {t} order by 1 limit 1", [(0,)]),
)

# Each of them the statement's only reason to be read.
KEYWORDS = {
    "ANALYZE": "explain analyze select id from {t}",
    "ANTI": "select id from {t} a left anti join {t} b on a.id = b.id",
    "ARRAY": "select array [1, 2]",
    "BYTEA": "select bytea 'a'",
    "CUBE": "select region from {t} group by cube (region)",
    "DENY": "DENY TABLE_READ ON {t} TO user1@shanghai",
    "EXCLUDE": "select * exclude (id) from {t}",
    "EXPLAIN": "explain select id from {t}",
    "FILTER": "select count(*) filter (where id > 3) from {t}",
    "FOLLOWING": "select sum(id) over (rows between 1 following and 2 following) from {t}",
    "GROUPING": "select region from {t} group by grouping sets ((region), ())",
    "GROUPS": "select sum(id) over (order by id groups current row) from {t}",
    "IGNORE": "select first_value(id) ignore nulls over (order by id) from {t}",
    "ILIKE": "select 'A' ilike 'a'",
    "LIMIT": "select id from {t} limit 1",
    "NULLS": "select id from {t} order by id nulls first",
    "OFFSET": "select id from {t} offset 1",
    "OVER": "select row_number() over () from {t}",
    "PARTITION": "select row_number() over (partition by region) from {t}",
    "PRECEDING": "select sum(id) over (order by id rows 1 preceding) from {t}",
    "QUALIFY": "select id from {t} qualify row_number() over (order by id) = 1",
    "RANGE": "select sum(id) over (order by id range current row) from {t}",
    "RECURSIVE": "with recursive n as (select 1 i union all select 2 from n where i < 2) "
    "select i from n",
    "REPLACE": "select * replace (1 as id) from {t}",
    "RESPECT": "select first_value(id) respect nulls over (order by id) from {t}",
    "ROLLUP": "select region from {t} group by rollup (region)",
    "SEMI": "select id from {t} a left semi join {t} b on a.id = b.id",
    "SETS": "select region from {t} group by grouping sets ((region), ())",
    "SHOW": "show tables",
    "SIMILAR": "select 'ab' similar to 'a(b|c)'",
    "STRUCT": "select struct(1, 2)",
    "TRY_CAST": "select try_cast ('a' as int)",
    "UNBOUNDED": "select sum(id) over (order by id rows unbounded preceding) from {t}",
    "UNNEST": "select unnest(numbers) from {t}",
    "USE": "use aviation.lab@hangzhou",
    "WINDOW": "select sum(id) over w from {t} window w as (order by id)",
    "WITHIN": "select percentile_cont(0.5) within group (order by id) from {t}",
}

RESERVED_BY_SQL_92 = frozenset(
    """
    absolute action add all allocate alter and any are as asc assertion at authorization avg begin
    between bit bit_length both by cascade cascaded case cast catalog char character char_length
    character_length check close coalesce collate collation column commit connect connection
    constraint constraints continue convert corresponding count create cross current current_date
    current_time current_timestamp current_user cursor date day deallocate dec decimal declare
    default deferrable deferred delete desc describe descriptor diagnostics disconnect distinct
    domain double drop else end escape except exception exec execute exists external extract false
    fetch first float for foreign found from full get global go goto grant group having hour
    identity immediate in indicator initially inner input insensitive insert int integer intersect
    interval into is isolation join key language last leading left level like local lower match max
    min minute module month names national natural nchar next no not null nullif numeric
    octet_length of on only open option or order outer output overlaps pad partial position
    precision prepare preserve primary prior privileges procedure public read real references
    relative restrict revoke right rollback rows schema scroll second section select session
    session_user set size smallint some space sql sqlcode sqlerror sqlstate substring sum
    system_user table temporary then time timestamp timezone_hour timezone_minute to trailing
    transaction translate translation trim true union unique unknown update upper usage user using
    value values varchar varying view when whenever where with work write year zone
    """.split()  # noqa: SIM905  a list of words reads better as text
)

# SqlSupportsConvert in the order of its ordinals: the type as it is written, a value of it, and a
# text that can be one.
CONVERTED = (
    ("bigint", "cast(1 as bigint)", "1"),
    ("bytea", "X'31'", "1"),
    ("boolean", "true", "true"),
    ("char", "cast('{text}' as char)", "1"),
    ("date", "date '2024-02-03'", "2024-02-03"),
    ("decimal(10,2)", "cast(1 as decimal(10,2))", "1"),
    ("float", "cast(1 as float)", "1"),
    ("integer", "cast(1 as integer)", "1"),
    ("interval", "interval '1' day", "1 day"),
    ("interval", "interval '1' year", "1 year"),
    ("bytea", "X'31'", "1"),
    ("text", "cast('{text}' as text)", "1"),
    ("numeric(10,2)", "cast(1 as numeric(10,2))", "1"),
    ("real", "cast(1 as real)", "1"),
    ("smallint", "cast(1 as smallint)", "1"),
    ("time", "time '04:05:06'", "04:05:06"),
    ("timestamp", "timestamp '2024-02-03 04:05:06'", "2024-02-03T04:05:06"),
    ("tinyint", "cast(1 as tinyint)", "1"),
    ("bytea", "X'31'", "1"),
    ("varchar", "cast('{text}' as varchar)", "1"),
)
