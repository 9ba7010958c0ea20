"""Whether a query's rows are those of the parts of its tables, each part asked by itself.

That is so when every row of the answer comes of one row of one table, and the rows may come in any
order: then however the rows of the tables are parted, the answers to the same text over the parts
are together the answer over the whole, each row once. It is decided by the names of the nodes of
the engine's plan, as it was read and before anything is optimised: what is written is what counts,
and every node that is not known here says no.
"""

import re
from collections.abc import Iterator
from typing import Any

from planner.statement import Query
from storage.names import ObjectName

# A scan of a part is a part of the scan, and each of these hands that on. Not among them: what
# looks at several rows (Aggregate, Distinct, Sort, Limit, WindowAggr, Join, RecursiveQuery), what
# has rows that come of no table (Values, EmptyRelation), and subqueries, which see a part only.
_ROW_BY_ROW = frozenset({"Filter", "Projection", "SubqueryAlias", "TableScan", "Union", "Unnest"})
# What is one value for a whole statement is not the same for statements that start by themselves.
_OF_STATEMENT = re.compile(r"\b(?:now|current_\w+|today)\(", re.IGNORECASE)


def is_divisible(query: Query, plan: Any, shown: str) -> bool:
    """Whether the answers to a query over the parts of its tables are together its answer.

    Args:
        query: What was asked.
        plan: The engine's plan of it, not optimised.
        shown: The same as the engine prints it. Text of the statement in it can only make this
            say no where it could say yes.
    """
    nodes = {line.strip().partition(":")[0] for line in shown.splitlines()}
    if query.explain is not None or not nodes <= _ROW_BY_ROW or _OF_STATEMENT.search(shown):
        return False
    # Functions that make rows are scans too, of tables that are none of the query's.
    return all(name in query.tables for name in _scanned(query, plan))


def _scanned(query: Query, plan: Any) -> Iterator[ObjectName | None]:
    """Yield what each scan reads; None for what has no name of a table."""
    variant = plan.to_variant()
    if type(variant).__name__ == "TableScan":
        parts = tuple(part for part in variant.fqn() if part is not None)
        whole = (query.catalog, query.schema)[: 3 - len(parts)] + parts
        catalog, schema, table = (str(part) for part in whole)
        found = (one for one in query.tables if one.local == f"{catalog}.{schema}.{table}")
        yield next(found, None)
    for child in plan.inputs():
        yield from _scanned(query, child)
