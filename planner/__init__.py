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
    SplittableError,
    SqlSyntaxError,
    StatementNotSupportedError,
    StatementTooLargeError,
    TypeMismatchError,
    UnknownColumnError,
    not_found_text,
)
from planner.limits import Limits
from planner.parameters import count_fault, parameter_schema
from planner.parse import parse_statement
from planner.plan import Plan, plan_query
from planner.split import suggest_parts
from planner.statement import (
    Administrative,
    Change,
    Defaults,
    Describe,
    Explain,
    ExplainAccess,
    GrantStatement,
    GroupStatement,
    LiveQuery,
    NamePattern,
    Query,
    ShowCatalogs,
    ShowClusters,
    ShowGrants,
    ShowGroups,
    ShowReadable,
    ShowReaders,
    ShowSchemas,
    ShowTables,
    Statement,
    Use,
)
from planner.values import Values

__all__ = [
    "Administrative",
    "Change",
    "CrossClusterReadOnlyError",
    "Defaults",
    "Describe",
    "Explain",
    "ExplainAccess",
    "GrantStatement",
    "GroupStatement",
    "JoinNotSupportedError",
    "Limits",
    "LiveQuery",
    "MultiClusterQueryError",
    "NamePattern",
    "NotFoundError",
    "OneStatementOnlyError",
    "Plan",
    "PlannerError",
    "Query",
    "ShowCatalogs",
    "ShowClusters",
    "ShowGrants",
    "ShowGroups",
    "ShowReadable",
    "ShowReaders",
    "ShowSchemas",
    "ShowTables",
    "SplittableError",
    "SqlSyntaxError",
    "Statement",
    "StatementNotSupportedError",
    "StatementTooLargeError",
    "TypeMismatchError",
    "UnknownColumnError",
    "Use",
    "Values",
    "count_fault",
    "not_found_text",
    "parameter_schema",
    "parse_statement",
    "plan_query",
    "suggest_parts",
]
