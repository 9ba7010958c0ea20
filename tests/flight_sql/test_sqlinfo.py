import pyarrow as pa
import pytest

from flight_sql.sqlinfo import SQL_INFO_SCHEMA, default_sql_info, sql_info_table

PROTOCOL_IDS = {*range(12), 100, 101, *range(500, 577)}
BOOLEANS = {3, 4, 5, 9, 10, 11, 500, 501, 502, 506, 515, 516, 518, 519, 520, 521, 523, 524}
BOOLEANS |= {527, 532, 536, 537, 539, 556, 563, 565, 566, 572, 573, 574, 575, 576}


def test_the_whole_table_is_told() -> None:
    assert set(default_sql_info("name", "1")) == PROTOCOL_IDS


def test_union_children_are_not_nullable_and_in_the_protocols_order() -> None:
    table = sql_info_table(default_sql_info("name", "1"))
    table.validate(full=True)
    assert table.schema.equals(SQL_INFO_SCHEMA)
    union = table.schema.field("value").type
    assert union.mode == "dense"
    assert [union.field(index).name for index in range(union.num_fields)] == [
        "string_value",
        "bool_value",
        "bigint_value",
        "int32_bitmask",
        "string_list",
        "int32_to_int32_list_map",
    ]
    assert not any(union.field(index).nullable for index in range(union.num_fields))


def test_every_boolean_is_a_boolean() -> None:
    table = sql_info_table(default_sql_info("name", "1"))
    values = dict(zip(table["info_name"].to_pylist(), table["value"].to_pylist(), strict=True))
    assert {info for info, value in values.items() if isinstance(value, bool)} == BOOLEANS


def test_value_of_the_wrong_type_fails_when_the_table_is_made() -> None:
    with pytest.raises((pa.ArrowInvalid, TypeError)):
        sql_info_table(default_sql_info("name", "1") | {3: "yes"})


def test_there_are_no_transactions() -> None:
    values = default_sql_info("name", "1")
    assert (values[8], values[563], values[562], values[572]) == (0, False, 0, False)
