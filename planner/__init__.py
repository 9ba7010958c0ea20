"""SQL text to one statement over one cluster, or a refusal that says what to do instead.

Pure: no I/O and no clock. `parse_statement` reads a text; `plan_query` plans a query on empty
tables.
"""

from planner.errors import (
    CrossClusterReadOnlyError,
    JoinNotSupportedError,
    MultiClusterQueryError,
    NotFoundError,
    OneStatementOnlyError,
    PlannerError,
    SqlSyntaxError,
    StatementNotSupportedError,
    StatementTooLargeError,
    TypeMismatchError,
    UnknownColumnError,
)
from planner.limits import Limits
from planner.parse import parse_statement
from planner.plan import Plan, plan_query
from planner.statement import (
    Defaults,
    Describe,
    ExplainAccess,
    GrantStatement,
    Query,
    ShowCatalogs,
    ShowClusters,
    ShowGrants,
    ShowSchemas,
    ShowTables,
    Statement,
)

__all__ = [
    "CrossClusterReadOnlyError",
    "Defaults",
    "Describe",
    "ExplainAccess",
    "GrantStatement",
    "JoinNotSupportedError",
    "Limits",
    "MultiClusterQueryError",
    "NotFoundError",
    "OneStatementOnlyError",
    "Plan",
    "PlannerError",
    "Query",
    "ShowCatalogs",
    "ShowClusters",
    "ShowGrants",
    "ShowSchemas",
    "ShowTables",
    "SqlSyntaxError",
    "Statement",
    "StatementNotSupportedError",
    "StatementTooLargeError",
    "TypeMismatchError",
    "UnknownColumnError",
    "parse_statement",
    "plan_query",
]
