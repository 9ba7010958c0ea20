"""What an engine says about a fault, told in our words, with the place in the user's own text.

Nothing of its text is passed on but names and types that stand in the statement or in the columns
of its own tables, each matched by a strict pattern. Each module knows one kind of fault; the first
that recognises the engine's words makes the refusal.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

import pyarrow as pa

from planner.errors import (
    NotFoundError,
    PlannerError,
    StatementNotSupportedError,
    TypeMismatchError,
    not_found_text,
)
from planner.faults.asked import Asked, Function
from planner.faults.casts import read_cast_fault
from planner.faults.columns import read_column_fault
from planner.faults.functions import read_function_fault
from planner.faults.joins import explain_join, explain_subquery
from planner.faults.laws import read_law_fault
from planner.faults.syntax import read_syntax_fault
from planner.faults.types import read_type_fault
from planner.limits import nesting_fault
from planner.statement import Query
from storage.names import ObjectName

_Reader: TypeAlias = Callable[[str, Asked], PlannerError | None]
_READERS: tuple[_Reader, ...] = (
    read_column_fault,
    read_syntax_fault,
    read_law_fault,
    read_cast_fault,
    read_function_fault,
    read_type_fault,
)
_TABLE = re.compile(r"table '(?P<name>[\w.]{1,200})' not found")
_TYPE_WORDS = re.compile(
    r"coerc|common (?:argument )?type|signature|argument|non-boolean|requires|only supports"
    r"|can only be applied|Unary operator|incompatible|Cannot cast|Unsupported CAST"
    r"|does not support|is not valid|Unsupported type|must be a supported arrow type|Cannot parse"
    r"|Execution error|Arrow error|ArrowError|Cast error|Parser error|data ?type",
    re.IGNORECASE,
)


def explain_fault(
    message: str,
    query: Query,
    text: str,
    schemas: Mapping[ObjectName, pa.Schema],
    functions: Mapping[str, Function],
) -> PlannerError:
    """Return the refusal that stands for what the engine said.

    Args:
        message: The engine's words.
        query: What was asked.
        text: What the engine was given.
        schemas: The schemas of the query's tables.
        functions: Those that there are, by name.
    """
    message = " ".join(message.split())
    if "RecursionLimitExceeded" in message:
        return nesting_fault()
    asked = Asked(query, text, schemas, functions)
    for read in _READERS:
        refusal = read(message, asked)
        if refusal is not None:
            return refusal
    if (table := _TABLE.search(message)) is not None:
        return NotFoundError(not_found_text(f"{table['name'].lower()}@{query.cluster}"))
    if "not implemented" in message or "not supported: " in message:
        return StatementNotSupportedError(
            "the statement uses a construct that is not supported; write it in simpler ones"
        )
    if _TYPE_WORDS.search(message):
        return TypeMismatchError(
            "types or arguments of the statement do not fit together; CAST them to fitting types"
        )
    return StatementNotSupportedError(
        "the statement cannot be planned; write it in simpler constructs, or in several statements"
    )


__all__ = ["Function", "explain_fault", "explain_join", "explain_subquery"]
