"""The tables that statements without a data stream answer with: SHOW, DESCRIBE, GRANT.

What is listed of tables is made in `listing`.

Each function returns one Arrow table; its schema is fixed and stands beside it, so that a prepared
statement can promise it before anything has run.
"""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from flight_member.joblisting import JOBS_SCHEMA
from planner import (
    CancelJob,
    ChangeOwner,
    CreateExternalTable,
    CreatePlace,
    CreateTable,
    CreateTableAs,
    CreateView,
    Delete,
    Describe,
    Drop,
    ExplainAccess,
    GrantStatement,
    GroupStatement,
    Insert,
    Optimize,
    Rename,
    ShowCatalogs,
    ShowClusters,
    ShowGrants,
    ShowGroups,
    ShowJobs,
    ShowReadable,
    ShowReaders,
    ShowSchemas,
    ShowTables,
    ShowUsers,
    Statement,
    Truncate,
    Update,
    Use,
    UserStatement,
    Vacuum,
)

_UTF8, _INT64, _BOOL = pa.utf8(), pa.int64(), pa.bool_()
_MOMENT = pa.timestamp("us", tz="UTC")


def _shape(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns])


_SCHEMAS: dict[type, pa.Schema] = {
    ShowClusters: _shape(
        ("cluster_name", _UTF8),
        ("state", _UTF8),
        ("state_since", _MOMENT),
        ("route", _UTF8),
        ("table_count", _INT64),
        ("last_heartbeat_at", _MOMENT),
    ),
    ShowCatalogs: _shape(("catalog_name", _UTF8)),
    ShowSchemas: _shape(("catalog_name", _UTF8), ("schema_name", _UTF8)),
    ShowTables: _shape(
        ("catalog_name", _UTF8),
        ("schema_name", _UTF8),
        ("table_name", _UTF8),
        ("row_count", _INT64),
        ("byte_count", _INT64),
        ("file_count", _INT64),
    ),
    Describe: _shape(
        ("column_name", _UTF8),
        ("data_type", _UTF8),
        ("is_nullable", _BOOL),
        ("is_partition_column", _BOOL),
        ("arrow_type", _UTF8),
    ),
    ShowGrants: _shape(
        ("principal", _UTF8),
        ("effect", _UTF8),
        ("privilege", _UTF8),
        ("securable", _UTF8),
        ("granted_by", _UTF8),
        ("granted_at", _MOMENT),
        ("until", _MOMENT),
        ("authority", _UTF8),
    ),
    ExplainAccess: _shape(
        ("principal", _UTF8), ("securable", _UTF8), ("is_allowed", _BOOL), ("rule", _UTF8)
    ),
    Use: _shape(("cluster", _UTF8), ("catalog", _UTF8), ("schema", _UTF8)),
    GrantStatement: _shape(("status", _UTF8), ("warning", _UTF8)),
    GroupStatement: _shape(("status", _UTF8), ("warning", _UTF8)),
    UserStatement: _shape(("status", _UTF8), ("warning", _UTF8)),
    ShowUsers: _shape(
        ("user_name", _UTF8),
        ("group_names", _UTF8),
        ("is_admin", _BOOL),
        ("is_locked", _BOOL),
        ("changed_at", _MOMENT),
    ),
    ShowGroups: _shape(("group_name", _UTF8), ("member", _UTF8)),
    ShowJobs: JOBS_SCHEMA,
    CancelJob: _shape(("job_id", _UTF8), ("status", _UTF8)),
    ShowReaders: _shape(("user_name", _UTF8), ("rule", _UTF8)),
    ShowReadable: _shape(("securable", _UTF8), ("rule", _UTF8)),
    **dict.fromkeys(
        (
            *(CreatePlace, CreateTable, CreateExternalTable, Drop, Rename, ChangeOwner),
            *(Insert, CreateTableAs, CreateView, Update, Delete, Truncate, Optimize, Vacuum),
        ),
        _shape(("status", _UTF8), ("row_count", _INT64), ("warning", _UTF8)),
    ),
}


def answer_schema(statement: Statement) -> pa.Schema:
    """Return the schema of what a statement answers."""
    return _SCHEMAS[type(statement)]


def answer(kind: type, rows: Iterable[Sequence[object]]) -> pa.Table:
    """Make the answer to one kind of statement from its rows, in their order; it may be empty."""
    schema = _SCHEMAS[kind]
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema,
    )
