"""The tables that these tests ask for, and the session that really holds them."""

import datetime as dt
from collections.abc import Callable, Iterable

import pyarrow as pa
from datafusion import SessionConfig, SessionContext
from datafusion.catalog import Catalog, Schema

from flight_member.auditrows import audit_rows
from flight_member.information_schema import information_rows
from planner import (
    CountedWrite,
    CreateTableAs,
    CreateView,
    Defaults,
    Delete,
    Insert,
    LiveQuery,
    Plan,
    Query,
    Statement,
    Update,
    WritePlan,
    parse_statement,
    plan_create,
    plan_delete,
    plan_insert,
    plan_query,
    plan_update,
)
from storage.names import INFORMATION_SCHEMA, SYSTEM_CATALOG, ObjectName
from tests.flight_member.listed import LISTED

DEFAULTS = Defaults("shanghai", "trading", "stock", mom="headquarters")

_ROWS = pa.table(
    {
        "bid": [1.5, 2.5, 3.5],
        "ask": [1.6, 2.6, 3.6],
        "sym": ["a", "b", "b"],
        "Carrier": ["AA", "UA", None],
        "size": pa.array([10, 20, 30], pa.int64()),
        "day": [dt.date(2026, 1, day) for day in (1, 2, 3)],
        "tags": [[1, 2], [3], []],
        "info": [{"Venue": "x"}, {"Venue": "y"}, {"Venue": "z"}],
    }
)
_RECORD = (
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    "user1@shanghai",
    "ipv4:127.0.0.1:1",
    "read",
    "trading.stock.quote@hangzhou",
    False,
    "no grant applies",
    7,
    "",
    "0123456789abcdef",
    "",
)
_TWINS = pa.table({"px": [1], "Px": [2]})


def rows_of(table: ObjectName) -> pa.Table:
    """Return what a table holds: every one holds quotes, but for `twins`."""
    if table.catalog == SYSTEM_CATALOG and table.schema != INFORMATION_SCHEMA:
        return audit_rows([_RECORD])
    if table.schema == INFORMATION_SCHEMA:
        return information_rows(str(table.table), LISTED)
    return _TWINS if table.table == "twins" else _ROWS


def schemas_of(tables: Iterable[ObjectName]) -> dict[ObjectName, pa.Schema]:
    return {table: rows_of(table).schema for table in tables}


def read(sql: str, *, home: str | None = None, defaults: Defaults = DEFAULTS) -> Statement:
    return parse_statement(sql, defaults, home=home)


def read_query(sql: str, *, home: str | None = None, defaults: Defaults = DEFAULTS) -> Query:
    """Return what an engine runs for a statement."""
    return query_of(read(sql, home=home, defaults=defaults))


def query_of(statement: Statement) -> Query:
    query = statement.query if isinstance(statement, LiveQuery) else statement
    assert isinstance(query, Query)
    return query


def plan(sql: str, *, home: str | None = None, defaults: Defaults = DEFAULTS) -> Plan:
    query = read_query(sql, home=home, defaults=defaults)
    return plan_query(query, schemas_of(query.tables))


def answer(sql: str, *, home: str | None = None, defaults: Defaults = DEFAULTS) -> str:
    """Return the engine's text, or what an administrative statement was read as."""
    statement = read(sql, home=home, defaults=defaults)
    if isinstance(statement, CountedWrite):
        return written(statement)
    if isinstance(statement, CreateView):
        return viewed(statement)
    if not isinstance(statement, Query | LiveQuery):
        return f"{statement}\n"
    query = query_of(statement)
    return plan_query(query, schemas_of(query.tables)).text


def viewed(statement: CreateView) -> str:
    """Return the text that an engine gets for a view, and what becomes of its columns."""
    plan = plan_query(statement.query, schemas_of(statement.query.tables))
    columns = ", ".join(f"{field.name} {field.type}" for field in plan.arrow_schema)
    how = "replaces" if statement.or_replace else "is left" if statement.if_not_exists else "fails"
    return f"{plan.text}\n-- {statement.table}: {columns}; {how} when it is there\n"


def plan_write(statement: CountedWrite) -> WritePlan:
    schemas = schemas_of(statement.query.tables)
    (target,) = schemas_of([statement.table]).values()
    match statement:
        case Insert():
            return plan_insert(statement, target, schemas)
        case Update():
            return plan_update(statement, target, schemas)
        case Delete():
            return plan_delete(statement, schemas)
        case CreateTableAs():
            return plan_create(statement, schemas)


def written(statement: CountedWrite) -> str:
    """Return the text that an engine gets for a write, and what becomes of its columns."""
    planned = plan_write(statement)
    columns = ", ".join(f"{field.name} {field.type}" for field in planned.fields)
    parameters = ", ".join(map(str, planned.parameters))
    return f"{planned.plan.text}\n-- {statement.table}: {columns}; parameters: {parameters}\n"


def run(
    query: Query,
    text: str,
    values: dict[str, pa.Scalar] | None = None,
    *,
    held: Callable[[ObjectName], pa.Table] = rows_of,
) -> pa.Table:
    """Run a text on real tables, as a member's engine would; `held` says what each holds."""
    config = SessionConfig().with_create_default_catalog_and_schema(False)
    config = config.with_default_catalog_and_schema(query.catalog or "x", query.schema or "x")
    context = SessionContext(config)
    catalogs: dict[str, Catalog] = {}
    for table in query.tables:
        assert table.catalog is not None
        assert table.schema is not None
        if table.catalog not in catalogs:
            catalogs[table.catalog] = Catalog.memory_catalog()
            context.register_catalog_provider(table.catalog, catalogs[table.catalog])
        if table.schema not in catalogs[table.catalog].schema_names():
            catalogs[table.catalog].register_schema(table.schema, Schema.memory_schema())
        rows = held(table)
        empty = pa.RecordBatch.from_pylist([], schema=rows.schema)
        context.register_record_batches(table.local, [rows.to_batches() or [empty]])
    return context.sql(text, param_values=values).to_arrow_table()
