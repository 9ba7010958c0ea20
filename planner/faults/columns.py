"""Columns that are not there, or that could be several."""

import difflib
import re

from sqlglot import exp

from planner.dialect import QUOTED, shown
from planner.errors import PlannerError, StatementNotSupportedError, UnknownColumnError
from planner.faults.asked import Asked, parts_of_name
from planner.scopes import alias_of, pieces_of
from planner.sources import parts_of

_PART = r"(?:\"(?:[^\"]|\"\")*\"|[^\s\".]+)"
_COLUMN = re.compile(rf"No field named (?P<name>{_PART}(?:\.{_PART})*)\.?(?: |$)")
_AMBIGUOUS = re.compile(r"Ambiguous reference to (?:un)?qualified field (?P<name>\S+)")
_QUALIFIER = re.compile(rf"Invalid qualifier (?P<name>{_PART})")
_FIELD = re.compile(r"Field (?P<name>\S{1,80}) not found in struct")
_NO_STRUCT = re.compile(r"Cannot access field at argument \d+: type .* is not Struct")
_MOST_NEAR = 3
_SESSION_WORDS = re.compile(r"current_\w+|session_user|user|sysdate|systimestamp|rownum|rowid")


def read_column_fault(message: str, asked: Asked) -> PlannerError | None:
    """Return the refusal of a column, None when the fault is about none."""
    if (column := _COLUMN.search(message)) is not None:
        return _unknown(column["name"], asked)
    if (column := _AMBIGUOUS.search(message)) is not None:
        name = shown(parts_of_name(column["name"].rstrip("."))[-1])
        return UnknownColumnError(
            f"{asked.of_text(name)}{name} could be a column of several tables; qualify it by its "
            "table's name or alias"
        )
    if (qualifier := _QUALIFIER.search(message)) is not None:
        name = parts_of_name(qualifier["name"])[-1]
        return UnknownColumnError(
            f"{asked.of_text(name)}{shown(name)} is not in FROM; {_called_advice(asked, None, '*')}"
        )
    if (found := _FIELD.search(message)) is not None:
        return _unknown_field(found["name"], asked)
    if _NO_STRUCT.search(message):
        node = next((one for one in asked.columns if len(parts_of(one)) > 1), None)
        return UnknownColumnError(
            f"{asked.of_node(node)}a field is asked of a column that has none; of a "
            "list take an element, as in tags[1], or unfold it with unnest(tags)"
        )
    return None


def _unknown(name: str, asked: Asked) -> PlannerError:
    parts = parts_of_name(name)
    column = _unresolved(parts, asked)
    place = asked.of_node(column) or asked.of_text(parts[-1])
    shown_name = shown(".".join(parts) if column is None else _written(column))
    if column is not None and column.find_ancestor(exp.Limit, exp.Offset, exp.Fetch):
        return StatementNotSupportedError(
            f"{place}LIMIT and OFFSET take a whole number, and {shown_name} is a name; write "
            "the number"
        )
    return UnknownColumnError(
        f"{place}there is no column {shown_name}; {_advice(parts, column, asked)}"
    )


def _unresolved(parts: list[str], asked: Asked) -> exp.Column | None:
    """Return the reference that the engine did not find: of this name, and of no table's."""
    owners = asked.usage.owners if asked.usage is not None else {}
    named = list(asked.columns_named(parts[-1]))
    whole = [column for column in named if len(parts_of(column)) == len(parts)] or named
    lost = [column for column in whole if id(column) not in owners]
    counted = [column for column in whole if column.find_ancestor(exp.Limit, exp.Offset, exp.Fetch)]
    return next(iter([*lost, *counted, *whole]), None)


def _advice(parts: list[str], column: exp.Column | None, asked: Asked) -> str:
    """Return what to do about a column that is not there."""
    name = parts[-1]
    offered = {each for table in asked.query.tables for each in asked.schemas[table].names}
    if _is_alias(name, column):
        return (
            f"{shown(name)} is named in SELECT, and that is done last; repeat what it stands for, "
            "or write the query as a derived table around which you filter"
        )
    if len(parts) > 1 and name in offered:
        return _called_advice(asked, column, _typed(name))
    if name in offered:
        return "the query in FROM or WITH does not hand it on; select it there"
    by_lowered = {each.lower(): each for each in sorted(offered)}
    near = difflib.get_close_matches(name.lower(), list(by_lowered), n=_MOST_NEAR, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(_typed(by_lowered[each]) for each in near)}?"
    return _advice_on_stranger(name, asked)


def _advice_on_stranger(name: str, asked: Asked) -> str:
    """Return what to do about a name that is like no column."""
    if _is_quoted(name, asked):
        quoted = name.replace("'", "''")
        return f"double quotes are for names; write texts in single quotes, as in '{shown(quoted)}'"
    if _SESSION_WORDS.fullmatch(name.lower()):
        return "the session and its user are not asked in SQL; now() tells the time"
    if asked.query.tables:
        return f"DESCRIBE {asked.query.tables[0]} lists the columns of the table"
    return "the statement reads no table; put texts into single quotes"


def _is_alias(name: str, column: exp.Column | None) -> bool:
    """Whether the name is one that the SELECT gives to what it selects."""
    select = column.parent_select if column is not None else None
    items = select.expressions if select is not None else []
    return any(isinstance(item, exp.Alias) and item.alias.lower() == name.lower() for item in items)


def _is_quoted(name: str, asked: Asked) -> bool:
    return any(t.token_type in QUOTED and t.text == name for t in asked.tokens)


def _called_advice(asked: Asked, column: exp.Column | None, name: str) -> str:
    """Return what the tables are called, for a column that is qualified by something else."""
    selects = asked.reading.nodes.of(exp.Select) if asked.reading is not None else []
    select = next(iter(selects), None) if column is None else column.parent_select
    called = [
        alias.name if (alias := alias_of(piece)) is not None else piece.name
        for piece in (pieces_of(select) if select is not None else [])
    ]
    named = [each.partition("@")[0] for each in called if each]
    qualifier = parts_of(column)[0].name if column is not None else ""
    if qualifier.lower() in {each.lower() for each in named}:
        return f"the query that is called {shown(qualifier)} does not hand it on; select it there"
    if len(named) == 1:
        return f"the table is called {shown(named[0])} here: write {shown(named[0])}.{name}"
    return "qualify it by a table or alias of the FROM clause"


def _unknown_field(name: str, asked: Asked) -> PlannerError:
    """Return the refusal of a field that a struct does not have."""
    fields: set[str] = set()
    for table in asked.query.tables:
        for column in asked.schemas[table]:
            if hasattr(column.type, "fields"):
                fields |= {field.name for field in column.type.fields}
    near = difflib.get_close_matches(name.lower(), {each.lower() for each in fields})
    names = [f"['{each}']" for each in sorted(fields) if each.lower() in near]
    advice = f"did you mean {' or '.join(names)}?" if names else "DESCRIBE lists the fields"
    return UnknownColumnError(
        f"{asked.of_text(name)}there is no field {shown(name)} in this struct; {advice}"
    )


def _typed(column: str) -> str:
    """Return a column as one would type it."""
    plain = re.fullmatch(r"[A-Za-z_]\w*", column, re.ASCII)
    return column if plain else '"' + column.replace('"', '""') + '"'


def _written(column: exp.Column) -> str:
    """Return a column as it was typed, without clusters."""
    parts = parts_of(column)
    return ".".join(
        f'"{part.name}"' if part.args.get("quoted") else part.name.partition("@")[0]
        for part in parts
    )
