from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_sql import Call, FlightSqlServer, TableEntry, TableFilter
from flight_sql.columns import type_name
from flight_sql.messages import pack, sql_message
from flight_sql.metadata import like_pattern
from flight_sql.wire import MAX_BATCH_BYTES
from tests.flight_sql.conftest import TOKEN
from tests.flight_sql.memory_backend import MemoryAuthenticator, MemoryBackend

OPTIONS = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {TOKEN}".encode())])


@pytest.fixture
def ask(server: FlightSqlServer) -> Any:
    """Ask one metadata command through all three RPCs, whose schemas must agree."""

    def ask(name: str, **fields: Any) -> pa.Table:
        descriptor = flight.FlightDescriptor.for_command(pack(sql_message(name, **fields)))
        with flight.connect(server.uri) as client:
            info = client.get_flight_info(descriptor, OPTIONS)
            assert len(info.endpoints) == 1
            assert list(info.endpoints[0].locations) == []
            table = client.do_get(info.endpoints[0].ticket, OPTIONS).read_all()
            assert info.schema.equals(table.schema, check_metadata=True)
            assert client.get_schema(descriptor, OPTIONS).schema.equals(table.schema)
        return table

    return ask


def _field_texts(schema: pa.Schema) -> list[str]:
    return [f"{field.name} {field.type}{'' if field.nullable else ' NN'}" for field in schema]


def test_catalogs_are_sorted_and_unique(ask: Any) -> None:
    table = ask("CommandGetCatalogs")
    assert _field_texts(table.schema) == ["catalog_name string NN"]
    assert table["catalog_name"].to_pylist() == ["monitor", "trading@hangzhou"]


def test_schemas_are_filtered_by_catalog_and_pattern(ask: Any) -> None:
    table = ask("CommandGetDbSchemas")
    assert _field_texts(table.schema) == ["catalog_name string", "db_schema_name string NN"]
    assert table["db_schema_name"].to_pylist() == ["heartbeat", "stock"]
    of_one = ask("CommandGetDbSchemas", catalog="trading@hangzhou")
    assert of_one["db_schema_name"].to_pylist() == ["stock"]
    assert ask("CommandGetDbSchemas", catalog="").num_rows == 0
    assert ask("CommandGetDbSchemas", db_schema_filter_pattern="he%").num_rows == 1


def test_tables_have_four_columns_unless_schemas_are_asked_for(ask: Any) -> None:
    table = ask("CommandGetTables")
    expected = [
        "catalog_name string",
        "db_schema_name string",
        "table_name string NN",
        "table_type string NN",
    ]
    assert _field_texts(table.schema) == expected
    assert table.column("table_name").to_pylist() == ["cluster_perf", "my_view", "quote"]
    with_schema = ask("CommandGetTables", include_schema=True)
    assert _field_texts(with_schema.schema) == [*expected, "table_schema binary NN"]


@pytest.mark.parametrize(
    "filters, names",
    [
        ({"table_types": ["VIEW"]}, ["my_view"]),
        ({"table_types": ["BASE TABLE"]}, ["cluster_perf", "quote"]),
        ({"table_types": ["TABLE", "VIEW"]}, ["cluster_perf", "my_view", "quote"]),
        ({"table_types": ["SEQUENCE"]}, []),
        ({"table_name_filter_pattern": "my_view"}, ["my_view"]),
        ({"table_name_filter_pattern": "my\\_view"}, ["my_view"]),
        ({"table_name_filter_pattern": "my\\%"}, []),
        ({"table_name_filter_pattern": "quot_"}, ["quote"]),
        ({"table_name_filter_pattern": "%e%"}, ["cluster_perf", "my_view", "quote"]),
        ({"table_name_filter_pattern": "quote.*"}, []),
        ({"table_name_filter_pattern": ""}, []),
        ({"db_schema_filter_pattern": "stock"}, ["my_view", "quote"]),
        ({"catalog": "monitor"}, ["cluster_perf"]),
        ({"catalog": ""}, []),
        ({"catalog": "monitor", "db_schema_filter_pattern": "stock"}, []),
    ],
)
def test_tables_are_filtered(ask: Any, filters: dict[str, Any], names: list[str]) -> None:
    table = ask("CommandGetTables", **filters)
    assert table["table_name"].to_pylist() == names
    assert len(table.schema) == 4


def test_pattern_of_many_wildcards_is_answered_at_once(ask: Any) -> None:
    assert ask("CommandGetTables", table_name_filter_pattern="%" * 5000 + "x").num_rows == 0


@pytest.mark.parametrize(
    "pattern, name, fits",
    [
        ("%a" * 31 + "%b", "a" * 63, False),
        ("%a" * 31 + "%", "a" * 63, True),
        ("a%b%c", "a_b_c_b_c", True),
        ("a%bc%c", "abc", False),
        ("%ab_", "xxabab1", True),
        ("_%_", "a", False),
        ("_%_", "ab", True),
        ("a%a", "a", False),
        ("%", "", True),
        ("\\", "\\", True),
    ],
)
def test_patterns_match_as_like_does_and_at_once(pattern: str, name: str, fits: bool) -> None:
    assert (like_pattern(pattern).fullmatch(name) is not None) is fits


def test_table_schema_is_an_ipc_message_that_describes_each_column(
    ask: Any, backend: MemoryBackend
) -> None:
    backend.tables["quote"] = pa.table(
        {
            "symbol": pa.array(["a"], pa.string_view()),
            "price": pa.array([None], pa.decimal128(9, 2)),
        }
    )
    table = ask("CommandGetTables", include_schema=True, table_name_filter_pattern="quote")
    schema = pa.ipc.read_schema(table["table_schema"][0].as_buffer())
    assert schema.names == ["symbol", "price"]
    assert schema.field("symbol").type == pa.string()
    prefix = b"ARROW:FLIGHT:SQL:"
    assert schema.field("price").metadata == {
        prefix + b"CATALOG_NAME": b"trading@hangzhou",
        prefix + b"DB_SCHEMA_NAME": b"stock",
        prefix + b"TABLE_NAME": b"quote",
        prefix + b"TYPE_NAME": b"DECIMAL",
        prefix + b"PRECISION": b"9",
        prefix + b"SCALE": b"2",
        prefix + b"IS_AUTO_INCREMENT": b"0",
        prefix + b"IS_CASE_SENSITIVE": b"0",
        prefix + b"IS_READ_ONLY": b"1",
        prefix + b"IS_SEARCHABLE": b"1",
    }


def test_table_types_are_listed(ask: Any) -> None:
    table = ask("CommandGetTableTypes")
    assert _field_texts(table.schema) == ["table_type string NN"]
    assert table["table_type"].to_pylist() == ["TABLE", "VIEW"]


def test_primary_keys_are_none_in_the_right_shape(ask: Any) -> None:
    table = ask("CommandGetPrimaryKeys", table="quote")
    assert table.num_rows == 0
    assert _field_texts(table.schema) == [
        "catalog_name string",
        "db_schema_name string",
        "table_name string NN",
        "column_name string NN",
        "key_sequence int32 NN",
        "key_name string",
    ]


@pytest.mark.parametrize(
    "name, fields",
    [
        ("CommandGetExportedKeys", {"table": "quote"}),
        ("CommandGetImportedKeys", {"table": "quote"}),
        ("CommandGetCrossReference", {"pk_table": "quote", "fk_table": "trade"}),
    ],
)
def test_foreign_keys_are_none_in_the_right_shape(
    ask: Any, name: str, fields: dict[str, str]
) -> None:
    table = ask(name, **fields)
    assert table.num_rows == 0
    assert _field_texts(table.schema) == [
        "pk_catalog_name string",
        "pk_db_schema_name string",
        "pk_table_name string NN",
        "pk_column_name string NN",
        "fk_catalog_name string",
        "fk_db_schema_name string",
        "fk_table_name string NN",
        "fk_column_name string NN",
        "key_sequence int32 NN",
        "fk_key_name string",
        "pk_key_name string",
        "update_rule uint8 NN",
        "delete_rule uint8 NN",
    ]


def test_type_info_is_ordered_and_filtered(ask: Any) -> None:
    table = ask("CommandGetXdbcTypeInfo")
    assert len(table.schema) == 19
    keys = list(zip(table["data_type"].to_pylist(), table["type_name"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert ask("CommandGetXdbcTypeInfo", data_type=12)["type_name"].to_pylist() == ["VARCHAR"]
    assert ask("CommandGetXdbcTypeInfo", data_type=0).num_rows == 0


def test_type_info_schema_is_the_protocols(ask: Any) -> None:
    assert _field_texts(ask("CommandGetXdbcTypeInfo").schema) == [
        "type_name string NN",
        "data_type int32 NN",
        "column_size int32",
        "literal_prefix string",
        "literal_suffix string",
        "create_params list<item: string not null>",
        "nullable int32 NN",
        "case_sensitive bool NN",
        "searchable int32 NN",
        "unsigned_attribute bool",
        "fixed_prec_scale bool NN",
        "auto_increment bool",
        "local_type_name string",
        "minimum_scale int32",
        "maximum_scale int32",
        "sql_data_type int32 NN",
        "datetime_subcode int32",
        "num_prec_radix int32",
        "interval_precision int32",
    ]


@pytest.mark.parametrize(
    "arrow_type, name",
    [
        (pa.int64(), "BIGINT"),
        (pa.timestamp("us", "UTC"), "TIMESTAMP"),
        (pa.date32(), "DATE"),
        (pa.time64("us"), "TIME"),
        (pa.month_day_nano_interval(), "INTERVAL"),
        (pa.duration("us"), "INTERVAL"),
        (pa.binary(16), "BYTEA"),
        (pa.list_(pa.int64()), "ARRAY"),
        (pa.struct([("a", pa.int64())]), "STRUCT"),
        (pa.map_(pa.string(), pa.int64()), "MAP"),
        (pa.null(), "OTHER"),
    ],
    ids=str,
)
def test_columns_have_sql_type_names(arrow_type: Any, name: str) -> None:
    assert type_name(arrow_type) == name


def test_sql_info_asked_by_id(ask: Any) -> None:
    table = ask("CommandGetSqlInfo", info=[0, 1, 8, 99_999])
    assert table["info_name"].to_pylist() == [0, 1, 8]
    assert table["value"].to_pylist() == ["memory", "1.2.3", 0]


class _WideTables(MemoryBackend):
    def list_tables(
        self, _call: Call, _wanted: TableFilter, *, include_schema: bool
    ) -> Iterable[TableEntry]:
        del include_schema
        wide = pa.schema([(f"column_{number}", pa.int64()) for number in range(2000)])
        for number in range(60):
            yield TableEntry("lake", "wide", f"t{number}", "TABLE", wide)


def test_metadata_beyond_a_message_comes_in_pieces() -> None:
    server = FlightSqlServer(_WideTables({}), MemoryAuthenticator())
    server.start()
    ticket = flight.Ticket(pack(sql_message("CommandGetTables", include_schema=True)))
    with flight.connect(server.uri) as client:
        pieces = [chunk.data for chunk in client.do_get(ticket, OPTIONS)]
    assert server.drain_and_stop(2)
    assert sum(piece.num_rows for piece in pieces) == 60
    sizes = [pa.ipc.get_record_batch_size(piece) for piece in pieces]
    assert sum(sizes) > MAX_BATCH_BYTES >= max(sizes)
