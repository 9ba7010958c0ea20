"""The metadata commands of running servers: the MoM for a visitor, a member for its own user."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, type_name
from tests.e2e.federation import READER, STRANGER, bearer
from tests.e2e.flightcalls import ask

KEYS = """pk_catalog_name string, pk_db_schema_name string, pk_table_name string NN,
pk_column_name string NN, fk_catalog_name string, fk_db_schema_name string, fk_table_name string NN,
fk_column_name string NN, key_sequence int32 NN, fk_key_name string, pk_key_name string,
update_rule uint8 NN, delete_rule uint8 NN"""
TABLES = """catalog_name string, db_schema_name string, table_name string NN,
table_type string NN"""


class Shape(NamedTuple):
    """A command, the columns that the protocol gives its answer, and how to ask for no rows."""

    name: str
    fields: dict[str, Any]
    columns: str
    nothing: dict[str, Any] | None = None


# Written from the protocol's definition, not from the code; NN is "not nullable".
SHAPES = (
    Shape("CommandGetCatalogs", {}, "catalog_name string NN"),
    Shape(
        "CommandGetDbSchemas",
        {},
        "catalog_name string, db_schema_name string NN",
        {"catalog": ""},
    ),
    Shape("CommandGetTables", {}, TABLES, {"catalog": ""}),
    Shape(
        "CommandGetTables",
        {"include_schema": True},
        f"{TABLES}, table_schema binary NN",
        {"catalog": "", "include_schema": True},
    ),
    Shape("CommandGetTableTypes", {}, "table_type string NN"),
    Shape(
        "CommandGetPrimaryKeys",
        {"table": "samples"},
        """catalog_name string, db_schema_name string, table_name string NN,
        column_name string NN, key_sequence int32 NN, key_name string""",
        {"table": "samples"},
    ),
    Shape("CommandGetExportedKeys", {"table": "samples"}, KEYS, {"table": "samples"}),
    Shape("CommandGetImportedKeys", {"table": "samples"}, KEYS, {"table": "samples"}),
    Shape("CommandGetCrossReference", {"pk_table": "a", "fk_table": "b"}, KEYS, {"pk_table": "a"}),
    Shape(
        "CommandGetSqlInfo",
        {},
        """info_name uint32 NN, value dense_union<string_value: string not null=0;
        bool_value: bool not null=1; bigint_value: int64 not null=2;
        int32_bitmask: int32 not null=3; string_list: list<item: string> not null=4;
        int32_to_int32_list_map: map<int32; list<item: int32>> not null=5> NN""",
        {"info": [99_999]},
    ),
    Shape(
        "CommandGetXdbcTypeInfo",
        {},
        """type_name string NN, data_type int32 NN, column_size int32, literal_prefix string,
        literal_suffix string, create_params list<item: string not null>, nullable int32 NN,
        case_sensitive bool NN, searchable int32 NN, unsigned_attribute bool,
        fixed_prec_scale bool NN, auto_increment bool, local_type_name string, minimum_scale int32,
        maximum_scale int32, sql_data_type int32 NN, datetime_subcode int32, num_prec_radix int32,
        interval_precision int32""",
        {"data_type": 0},
    ),
)

Asked = Callable[..., pa.Table]


def _columns(schema: pa.Schema) -> list[str]:
    texts = [f"{field.name} {field.type}{'' if field.nullable else ' NN'}" for field in schema]
    # Commas part the columns of the table above.
    return [text.replace(",", ";") for text in texts]


def _wanted(shape: Shape) -> list[str]:
    return [" ".join(column.split()) for column in shape.columns.split(",")]


@pytest.fixture(params=[MOM, HANGZHOU])
def client(
    request: pytest.FixtureRequest, federation: DemoFederation, admin: Client
) -> Iterator[Client]:
    """A visitor at the MoM who may read one catalog; the owner of the same one at the member."""
    admin.update(f"GRANT CATALOG_READ ON aviation@{HANGZHOU} TO {READER}")
    user, cluster = ("user1", SHANGHAI) if request.param == MOM else ("user2", HANGZHOU)
    with federation.client(user, cluster, at=request.param) as client:
        yield client


def _asking(client: Client, *headers: tuple[str, str]) -> Iterator[Asked]:
    options = bearer(str(client.token), *headers)
    with flight.FlightClient(client.uri) as raw:
        yield lambda name, **fields: ask(raw, options, name, **fields)


@pytest.fixture
def asked(client: Client) -> Iterator[Asked]:
    yield from _asking(client)


def _tables(asked: Asked, **fields: Any) -> list[tuple[str, ...]]:
    rows = asked("CommandGetTables", **fields).to_pylist()
    return [tuple(row.values()) for row in rows]


def test_every_schema_is_the_protocols_with_rows_and_without(asked: Asked) -> None:
    for shape in SHAPES:
        answered = asked(shape.name, **shape.fields)
        assert _columns(answered.schema) == _wanted(shape), shape.name
        if shape.nothing is not None:
            empty = asked(shape.name, **shape.nothing)
            assert empty.num_rows == 0
            assert empty.schema.equals(answered.schema, check_metadata=True)
        if "Key" not in shape.name and "Cross" not in shape.name:
            assert answered.num_rows > 0


@pytest.mark.parametrize("at", [MOM, SHANGHAI])
def test_who_may_read_nothing_gets_the_same_schemas(
    federation: DemoFederation, admin: Client, at: str
) -> None:
    assert admin.token
    with federation.client(STRANGER, SHANGHAI, at=at) as stranger:
        for asked in _asking(stranger):
            for shape in SHAPES:
                answered = asked(shape.name, **shape.fields)
                assert _columns(answered.schema) == _wanted(shape), shape.name
                if shape.name in {"CommandGetCatalogs", "CommandGetDbSchemas", "CommandGetTables"}:
                    # The federation's own tables are everybody's.
                    assert set(answered["catalog_name"].to_pylist()) <= {"system"}


def test_rows_are_ordered(asked: Asked) -> None:
    catalogs = asked("CommandGetCatalogs")["catalog_name"].to_pylist()
    schemas = [tuple(row.values()) for row in asked("CommandGetDbSchemas").to_pylist()]
    tables = _tables(asked)
    for rows in (catalogs, schemas, tables):
        assert rows == sorted(set(rows))
        assert len(rows) > 1
    assert {(catalog, schema) for catalog, schema, _, _ in tables} == set(schemas)
    assert {catalog for catalog, _ in schemas} == set(catalogs)


def test_an_unset_catalog_is_every_catalog_and_an_empty_one_none(asked: Asked) -> None:
    everything = _tables(asked)
    assert _tables(asked, catalog="") == []
    assert asked("CommandGetDbSchemas", catalog="").num_rows == 0
    for catalog in {row[0] for row in everything}:
        assert _tables(asked, catalog=catalog) == [row for row in everything if row[0] == catalog]
        assert _tables(asked, catalog=catalog.upper()) == []
    for odd in ("%", "aviation@nowhere", "a@b@c", "x" * 5000):
        assert _tables(asked, catalog=odd) == []


def test_every_name_fits_its_own_pattern_escaped_or_not(asked: Asked) -> None:
    for catalog, schema, table, kind in _tables(asked):
        for name in (table, table.replace("_", r"\_")):
            found = _tables(
                asked,
                catalog=catalog,
                db_schema_filter_pattern=schema,
                table_name_filter_pattern=name,
            )
            assert (catalog, schema, table, kind) in found
            assert "\\" not in name or len(found) == 1


@pytest.mark.parametrize(
    "pattern, fits",
    [
        ("sample_", True),
        ("s%", True),
        ("%", True),
        ("sample", False),
        (r"sample\_", False),
        (r"\samples", True),
        ("S%", False),
        ("", False),
        ("sample.", False),
    ],
)
def test_patterns_fit_as_like_does(asked: Asked, pattern: str, fits: bool) -> None:
    tables = {row[2] for row in _tables(asked, table_name_filter_pattern=pattern)}
    assert ("samples" in tables) is fits
    for catalog in ("aviation", f"aviation@{HANGZHOU}"):
        inside = _tables(
            asked, catalog=catalog, db_schema_filter_pattern="lab",
            table_name_filter_pattern=pattern,
        )  # fmt: skip
        assert len(inside) in ({0, 1} if fits else {0})


def test_types_are_tables_whatever_drivers_call_them(asked: Asked) -> None:
    everything = _tables(asked)
    assert asked("CommandGetTableTypes")["table_type"].to_pylist() == ["TABLE", "VIEW"]
    for types in (["TABLE"], ["BASE TABLE"], ["TABLE", "VIEW"], ["BASE TABLE", "TABLE"]):
        assert _tables(asked, table_types=types) == everything
    for types in (["VIEW"], ["SYSTEM TABLE"], ["table"], [""]):
        assert _tables(asked, table_types=types) == []


@pytest.fixture(params=["safe", "signed"])
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def asked_so(client: Client, wire: str) -> Iterator[Asked]:
    yield from _asking(client, ("x-wire", wire))


def test_table_schema_is_what_a_query_of_the_table_answers(
    client: Client, asked_so: Asked, wire: str
) -> None:
    types = set(asked_so("CommandGetXdbcTypeInfo")["type_name"].to_pylist())
    rows = asked_so("CommandGetTables", include_schema=True, table_name_filter_pattern="samples")
    (row,) = rows.to_pylist()
    schema = pa.ipc.read_schema(pa.py_buffer(row["table_schema"]))
    name = f'"{row["catalog_name"]}"."{row["db_schema_name"]}"."{row["table_name"]}"'
    answered = client.query(f"SELECT * FROM {name}", headers=[("x-wire", wire)]).read_all().schema
    assert schema.equals(answered, check_metadata=False)
    assert ("uint" in str(schema.types)) is (wire == "safe")
    assert any(each.endswith("UNSIGNED") for each in types) is (wire == "safe")
    for field in schema:
        told = {
            key.decode().rpartition(":")[2]: text.decode() for key, text in field.metadata.items()
        }
        assert (told["CATALOG_NAME"], told["DB_SCHEMA_NAME"]) == (row["catalog_name"], "lab")
        assert told["TABLE_NAME"] == "samples"
        assert told["TYPE_NAME"] == type_name(field.type)
        assert told["TYPE_NAME"] in types | {"ARRAY", "STRUCT", "MAP"}
        assert "REMARKS" not in told
        expected = (DIGITS if wire == "safe" else DIGITS | SIGNED_DIGITS).get(field.name)
        assert (told.get("PRECISION"), told.get("SCALE")) == (expected or (None, None)), field.name


DIGITS = {
    "id": ("19", "0"),
    "tiny": ("3", "0"),
    "short": ("5", "0"),
    "whole": ("10", "0"),
    "u_tiny": ("3", "0"),
    "u_short": ("5", "0"),
    "u_whole": ("10", "0"),
    "u_long": ("20", "0"),
    "ratio": ("7", None),
    "amount": ("15", None),
    "größe": ("15", None),
    "price": ("12", "3"),
    "vast": ("50", "5"),
    "MixedCase": ("19", "0"),
    "year": ("19", "0"),
    "clock": (None, "6"),
    "seconds": (None, "3"),
    "moment": (None, "6"),
    "instant": (None, "6"),
    "tick": (None, "9"),
    "local_tick": (None, "9"),
}
SIGNED_DIGITS = {
    "u_tiny": ("5", "0"),
    "u_short": ("10", "0"),
    "u_whole": ("19", "0"),
    "u_long": ("20", "0"),
}


def test_types_are_told_by_code_and_can_be_written_as_told(client: Client, asked: Asked) -> None:
    types = asked("CommandGetXdbcTypeInfo").to_pylist()
    keys = [(row["data_type"], row["type_name"]) for row in types]
    assert keys == sorted(set(keys))
    for code in {row["data_type"] for row in types} | {0, 1, 11, 2003}:
        found = asked("CommandGetXdbcTypeInfo", data_type=code).to_pylist()
        assert found == [row for row in types if row["data_type"] == code]
    for row in types:
        written = row["type_name"]
        if row["create_params"]:
            assert row["create_params"] == ["precision", "scale"]
            widest = f"{written}({row['column_size']}, 2)"
            assert _type_of(client, f"cast(1 as {widest})") == written
            written = f"{written}(9, 2)"
        assert _type_of(client, f"cast(null as {written})") == row["type_name"]
        if row["literal_prefix"] is not None:
            literal = row["literal_prefix"] + LITERALS[row["type_name"]] + row["literal_suffix"]
            assert _type_of(client, literal) == row["type_name"]


LITERALS = {
    "BYTEA": "31",
    "INTERVAL": "1 day",
    "VARCHAR": "it''s",
    "DATE": "2024-02-03",
    "TIME": "04:05:06",
    "TIMESTAMP": "2024-02-03 04:05:06",
}


def _type_of(client: Client, expression: str) -> str:
    return type_name(client.query(f"select {expression} as x").read_all().schema.field(0).type)
