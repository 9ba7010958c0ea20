"""USE: what each of its forms names."""

import pytest

from planner import Defaults, NotFoundError, Use, parse_statement
from storage.names import ObjectName

STOCK = ObjectName("hangzhou", "trading", "stock")
TRADING = ObjectName("hangzhou", "trading")
IN_USE = Defaults("shanghai", "trading", "stock")


def read(sql: str, defaults: Defaults = IN_USE) -> Use:
    statement = parse_statement(sql, defaults)
    assert isinstance(statement, Use)
    return statement


@pytest.mark.parametrize(
    "sql, target",
    [
        ("USE trading.stock@hangzhou", STOCK),
        ('use "trading@hangzhou"."stock" ;', STOCK),
        ('USE "trading@hangzhou".stock', STOCK),
        ("USE SCHEMA trading.stock@hangzhou", STOCK),
        ("USE SCHEMA stock@hangzhou", STOCK),
        ("USE CATALOG Trading@Hangzhou", TRADING),
        ('USE CATALOG "trading@hangzhou"', TRADING),
        ("USE CATALOG stock", ObjectName("shanghai", "stock")),
        ("USE SCHEMA other", ObjectName("shanghai", "trading", "other")),
        ("USE CLUSTER hangzhou", ObjectName("hangzhou")),
        ("USE *@hangzhou", ObjectName("hangzhou")),
        ("USE DEFAULT", None),
    ],
)
def test_use_names_one_thing(sql: str, target: ObjectName | None) -> None:
    assert read(sql) == Use(target)


def test_one_part_is_a_catalog_or_else_a_schema_of_the_one_in_use() -> None:
    either = Use(ObjectName("shanghai", "default"), ObjectName("shanghai", "trading", "default"))
    assert read('USE "default"') == either
    assert read("USE stock", Defaults("shanghai")) == Use(ObjectName("shanghai", "stock"))


def test_schema_without_a_catalog_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="line 1, column 12: the schema stock lacks its cat"):
        read("USE SCHEMA stock", Defaults("shanghai"))
