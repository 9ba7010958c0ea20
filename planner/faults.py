"""What an engine says about a fault, told in our words.

Nothing of its text is passed on but names and types that stand in the statement or in the columns
of its own tables, each matched by a strict pattern.
"""

import difflib
import re
from collections.abc import Mapping

import pyarrow as pa
from sqlglot.tokenizer_core import Token

from planner.dialect import place_at, read_tokens, shown, source_of
from planner.errors import (
    NotFoundError,
    PlannerError,
    SqlSyntaxError,
    StatementNotSupportedError,
    TypeMismatchError,
    UnknownColumnError,
)
from planner.limits import nesting_fault
from planner.names import join_names
from planner.placeholders import merged
from planner.statement import Query
from storage.names import ObjectName

_PART = r"(?:\"(?:[^\"]|\"\")*\"|[^\s\".]+)"
_COLUMN = re.compile(rf"No field named (?P<name>{_PART}(?:\.{_PART})*)\.?(?: |$)")
_AMBIGUOUS = re.compile(r"Ambiguous reference to (?:un)?qualified field (?P<name>\S+)")
_PLACE = re.compile(r"at Line: (?P<line>\d+), Column: (?P<column>\d+)")
_FUNCTION = re.compile(r"(?:Invalid function|table function) '(?P<name>\w+)'")
_SIGNATURE = re.compile(r"(?:Function '|argument types '|call to '|^.{0,80}?')(?P<name>\w+)['(]")
_TYPES = re.compile(
    r"(?:comparison operation|arithmetic expression) (?P<left>[A-Za-z0-9]+)(?:\([^()]*\))? "
    r"(?P<sign>\S{1,12}|[A-Z ]{2,20}) (?P<right>[A-Za-z0-9]+)"
)
_TABLE = re.compile(r"table '[^']*' not found")
_TYPE_WORDS = re.compile(
    r"coerc|common (?:argument )?type|signature|argument|non-boolean|requires|only supports"
    r"|can only be applied|Unary operator|incompatible|Cannot cast|Unsupported CAST"
    r"|does not support|is not valid"
    r"|Expected LIMIT|Expected OFFSET|Unsupported type|must be a supported arrow type|Cannot parse"
    r"|Execution error|Arrow error|ArrowError|Cast error|Parser error|data ?type",
    re.IGNORECASE,
)
_LAWS = (
    (re.compile(r"must appear in the GROUP BY|must be in GROUP BY", re.IGNORECASE),
     "a column is neither grouped nor aggregated; add it to GROUP BY or put it into an aggregate"),
    (re.compile(r"unique expression names|duplicate (?:un)?qualified field", re.IGNORECASE),
     "two columns of a result have the same name; give one of them another with AS"),
    (re.compile(r"Aggregate function.*(?:nested|not allowed)", re.IGNORECASE),
     "an aggregate stands in WHERE or in another aggregate; use HAVING or a derived table"),
    (re.compile(r"WITH query name .* specified more than once"),
     "two WITH parts have the same name; give one of them another"),
    (re.compile(r"different number of columns|equal number of columns"),
     "the parts of a UNION have different numbers of columns; select as many in each"),
    (re.compile(r"columns? but only \d+ names? given|column alias"),
     "the list of column aliases does not fit the table; name all of its columns or none"),
)  # fmt: skip
_MOST_NEAR = 3


def explain_fault(
    message: str, query: Query, text: str, schemas: Mapping[ObjectName, pa.Schema]
) -> PlannerError:
    """Return the refusal that stands for what the engine said.

    Args:
        message: The engine's words.
        query: What was asked.
        text: What the engine was given.
        schemas: The schemas of the query's tables.
    """
    message = " ".join(message.split())
    if "RecursionLimitExceeded" in message:
        return nesting_fault()
    if (column := _COLUMN.search(message)) is not None:
        return _unknown_column(column["name"], query, schemas)
    if "ParserError" in message or "TokenizerError" in message:
        return _syntax(message, query, text)
    if "not found" in message and _TABLE.search(message):
        return NotFoundError(
            "a table of the statement is not there, or you may not read it; SHOW TABLES lists "
            "those that you can"
        )
    return _by_name(message, query) or _by_kind(message, query)


def _by_name(message: str, query: Query) -> PlannerError | None:
    """Return the refusal of a name, or of a law of SQL; None when it is about neither."""
    if (column := _AMBIGUOUS.search(message)) is not None:
        name = shown(column["name"].rstrip(".").split(".")[-1].strip('"'))
        return UnknownColumnError(
            f"{_where(query, name)}{name} could be a column of several tables; qualify it by its "
            "table's name"
        )
    if (function := _FUNCTION.search(message)) is not None:
        name = function["name"]
        return StatementNotSupportedError(
            f"{_where(query, name)}there is no function {shown(name)}(); the functions are those "
            "of DataFusion"
        )
    for law, words in _LAWS:
        if law.search(message):
            return SqlSyntaxError(words)
    return None


def _by_kind(message: str, query: Query) -> PlannerError:
    if "not implemented" in message or "not supported: " in message:
        return StatementNotSupportedError(
            "the statement uses a construct that is not supported; write it in simpler ones"
        )
    if _TYPE_WORDS.search(message):
        return _type_mismatch(message, query)
    return StatementNotSupportedError(
        "the statement cannot be planned; write it in simpler constructs, or in several statements"
    )


def _unknown_column(
    name: str, query: Query, schemas: Mapping[ObjectName, pa.Schema]
) -> UnknownColumnError:
    parts = re.findall(r'"((?:[^"]|"")*)"|([^".]+)', name)
    column = (parts[-1][0] or parts[-1][1]).replace('""', '"')
    offered = {each for table in query.tables for each in schemas[table].names}
    by_lowered = {each.lower(): each for each in sorted(offered)}
    near = difflib.get_close_matches(column.lower(), list(by_lowered), n=_MOST_NEAR, cutoff=0.6)
    names = [_written(by_lowered[each]) for each in near if by_lowered[each] != column]
    qualified = len(parts) > 1
    if names:
        advice = f"did you mean {' or '.join(names)}?"
    elif qualified and column in offered:
        advice = "qualify it by a table or alias of the FROM clause"
    elif query.tables:
        advice = f"DESCRIBE {query.tables[0]} lists the columns of the table"
    else:
        advice = "the statement reads no table; put texts into single quotes"
    return UnknownColumnError(f"{_where(query, column)}there is no column {shown(name)}; {advice}")


def _written(column: str) -> str:
    """Return a column as one would type it."""
    plain = re.fullmatch(r"[A-Za-z_]\w*", column, re.ASCII)
    return column if plain else '"' + column.replace('"', '""') + '"'


def _syntax(message: str, query: Query, text: str) -> PlannerError:
    found = _PLACE.search(message)
    token = None
    if found is not None:
        token = _typed_token(query, text, int(found["line"]), int(found["column"]))
    if token is None:
        return SqlSyntaxError(
            "the statement ends too early or holds something that cannot be read; check its end"
        )
    return SqlSyntaxError(
        f"{place_at(query.sql, token.start)}: unexpected {shown(source_of(query.sql, token))!r}; "
        "check the words around it, and quote names that are SQL words"
    )


def _typed_token(query: Query, text: str, line: int, column: int) -> Token | None:
    """Return the token as it was typed, for the place of a token in the engine's text.

    That text and the query's hold the same tokens in the same order.
    """
    start = sum(len(each) + 1 for each in text.split("\n")[: line - 1]) + column - 1
    try:
        pairs = zip(merged(read_tokens(text)), merged(read_tokens(query.text)), strict=False)
        typed = merged(join_names(query.sql, read_tokens(query.sql)).tokens)
    except PlannerError:
        return None
    for planned, token in pairs:
        if planned.start <= start <= planned.end:
            place = query.typed_offset(token.start)
            return next((each for each in typed if each.start <= place <= each.end), None)
    return None


def _type_mismatch(message: str, query: Query) -> TypeMismatchError:
    types = _TYPES.search(message)
    if types is not None:
        return TypeMismatchError(
            f"{types['left']} {types['sign']} {types['right']} does not fit; CAST one "
            "of them to the other's type"
        )
    for signature in _SIGNATURE.finditer(message):
        name = signature["name"]
        if re.search(rf"\b{re.escape(name)}\s*\(", query.text, re.IGNORECASE):
            return TypeMismatchError(
                f"{_where(query, name)}the arguments of {name}() do not fit in number or type; "
                "CAST them to the types that it takes"
            )
    return TypeMismatchError(
        "types or arguments of the statement do not fit together; CAST them to fitting types"
    )


def _where(query: Query, word: str) -> str:
    """Return the place of a name in the text as it was typed, if it stands there once or more."""
    for token in read_tokens(query.sql):
        if token.text.lower() == word.lower():
            return f"{place_at(query.sql, token.start)}: "
    return ""
