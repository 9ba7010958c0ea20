"""Which tables the engine itself looks for when it is given a text: a session that writes it down.

Every catalog, schema and table that is asked for is there, so that no lookup ends early.
"""

import re
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.dataset as ds
from datafusion import SessionConfig, SessionContext, SQLOptions
from datafusion.catalog import (
    Catalog,
    CatalogProvider,
    CatalogProviderList,
    Schema,
    SchemaProvider,
    Table,
)

from planner import Query
from storage.names import ObjectName
from tests.planner.federation import rows_of

Name = tuple[str, str, str]

_SCAN = re.compile(r"^\s*TableScan: ([\w.]+)", re.MULTILINE)


@dataclass
class Lookups:
    """What the engine did with a text.

    Attributes:
        looked_up: The tables that it asked its catalogs for.
        scanned: The tables that its plan reads; empty when it has none.
        fault: What it said instead of a plan.
    """

    looked_up: set[Name] = field(default_factory=set)
    scanned: set[Name] = field(default_factory=set)
    fault: str = ""


class _RecordingSchema(SchemaProvider):
    def __init__(self, catalog: str, name: str, lookups: Lookups) -> None:
        self._place = (catalog, name)
        self._lookups = lookups

    def table_names(self) -> set[str]:
        return set()

    def table(self, name: str) -> Table | None:
        self._lookups.looked_up.add((*self._place, name))
        known = ObjectName("x", "x", "x", "twins" if name == "twins" else "quote")
        empty: pa.Table = rows_of(known).schema.empty_table()
        return Table(ds.dataset(empty))

    def table_exist(self, name: str) -> bool:
        self._lookups.looked_up.add((*self._place, name))
        return True


class _RecordingCatalog(CatalogProvider):
    def __init__(self, name: str, lookups: Lookups) -> None:
        self._name = name
        self._lookups = lookups

    def schema_names(self) -> set[str]:
        return set()

    def schema(self, name: str) -> Schema | None:
        return _RecordingSchema(self._name, name, self._lookups)  # type: ignore[return-value]  # declared too narrowly


class _RecordingList(CatalogProviderList):
    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups

    def catalog_names(self) -> set[str]:
        return set()

    def catalog(self, name: str) -> Catalog | None:
        return _RecordingCatalog(name, self._lookups)  # type: ignore[return-value]  # as above


def look_up(query: Query, text: str) -> Lookups:
    """Hand a text to the engine under a query's defaults and return what it looks for."""
    lookups = Lookups()
    defaults = (query.catalog or "unset_", query.schema or "unset_")
    config = SessionConfig({"datafusion.catalog.information_schema": "false"})
    config = config.with_create_default_catalog_and_schema(False)
    context = SessionContext(config.with_default_catalog_and_schema(*defaults))
    context.register_catalog_provider_list(_RecordingList(lookups))
    context.remove_optimizer_rule("simplify_expressions")
    options = SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)
    try:
        plan = context.sql_with_options(text, options).logical_plan().display_indent()
    except Exception as error:  # noqa: BLE001  the engine raises whatever it likes
        lookups.fault = str(error)
        return lookups
    for written in _SCAN.findall(plan):
        parts = written.split(".")
        lookups.scanned.add((*defaults[: 3 - len(parts)], *parts))
    return lookups


def names_of(query: Query) -> set[Name]:
    """Return the tables of a query as the engine of their cluster calls them."""
    return {(str(each.catalog), str(each.schema), str(each.table)) for each in query.tables}
