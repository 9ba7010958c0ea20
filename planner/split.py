"""A statement that is refused as a join, as statements that run: one for each table.

Each part names the columns that the statement uses of its table, with those conditions of WHERE
and ON that concern this table alone, as they were typed. A query inside the statement that needs
no other is a part as it stands. Nothing is suggested that would not itself be planned.

Only whoever may read all of the tables may see the parts: they hold names of columns.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from planner.dialect import is_word, read_tokens
from planner.edits import Edit, splice
from planner.errors import PlannerError
from planner.parse import parse_statement, read_again
from planner.pieces import condition_pieces, select_piece
from planner.plan import plan_query
from planner.reading import Reading
from planner.references import full_name
from planner.sources import Source, Usage, parts_of, qualifier_of
from planner.splitwords import how_to_join
from planner.statement import Defaults, Query
from storage.names import ObjectName

_MOST_TOKENS = 1_000  # longer statements are not taken apart
_MOST_PARTS = 4
_MOST_COLUMNS = 12  # more are written as *
_MOST_BYTES = 850  # clients drop answers with longer trailers; the refusal itself comes before
# Words of SQL that the tokenizer knows only together with those after them.
_RESERVED = frozenset({"ORDER", "GROUP", "PARTITION", "CLUSTER", "SORT", "FOR"})


@dataclass(frozen=True, slots=True)
class Part:
    """One of the statements that stand for a join.

    Attributes:
        label: What its result is called.
        sql: The statement, its table in full.
    """

    label: str
    sql: str


def suggest_parts(sql: str, defaults: Defaults, schemas: Mapping[ObjectName, pa.Schema]) -> str:
    """Return words that show what to send instead of a statement; empty when there are none.

    Args:
        sql: A query that was refused as a join, or because it reads several clusters.
        defaults: What completes its names.
        schemas: The schemas of all of its tables, every one readable for who asked.
    """
    try:
        reading = read_again(sql, defaults)
    except PlannerError:
        return ""
    if len(reading.tokens) > _MOST_TOKENS:
        return ""
    usage = Usage(reading, schemas)
    for parts in (_parts(reading, usage), _whole_tables(usage)):
        if parts and _all_run(parts, defaults, schemas):
            text = _written(reading, usage, parts)
            if len(text.encode()) <= _MOST_BYTES:
                return text
    return ""


def _written(reading: Reading, usage: Usage, parts: list[Part]) -> str:
    lines = [f"{part.label}: {part.sql}" for part in parts]
    how = how_to_join(reading, usage, [part.label for part in parts])
    return "\n".join(["; you may read all of its tables, so send", *lines, how])


def _all_run(
    parts: list[Part], defaults: Defaults, schemas: Mapping[ObjectName, pa.Schema]
) -> bool:
    """Whether every part would be planned as it stands."""
    try:
        for part in parts:
            query = parse_statement(part.sql, Defaults(defaults.cluster))
            if not isinstance(query, Query):
                return False
            plan_query(query, schemas)
    except PlannerError:
        return False
    return True


def _parts(reading: Reading, usage: Usage) -> list[Part]:
    """Return one part for each table, or none when there are too many or too few."""
    if not 1 < len(usage.sources) <= _MOST_PARTS:
        return []
    labels = _labels(usage.sources)
    found: list[Part] = []
    for select in reading.nodes.of(exp.Select):
        sources = usage.of(select)
        alone = _alone(reading, usage, select)
        if alone is not None:
            found.append(Part(labels[id(sources[0])], alone))
            continue
        own = _own_conditions(reading, usage, select)
        found += [
            Part(labels[id(source)], _select_of(source, own.get(id(source), [])))
            for source in sources
        ]
    return found


def _whole_tables(usage: Usage) -> list[Part]:
    tables = list(dict.fromkeys(source.name for source in usage.sources))
    if not 1 < len(tables) <= _MOST_PARTS:
        return []
    return [Part(str(table.table), f"select * from {table}") for table in tables]


def _labels(sources: list[Source]) -> dict[int, str]:
    """Return a name for each result: the table's in the statement, numbered where it repeats."""
    labels: dict[int, str] = {}
    taken: set[str] = set()
    for source in sources:
        label, number = source.label, 2
        while label in taken:
            label, number = f"{source.label}{number}", number + 1
        taken.add(label)
        labels[id(source)] = label
    return labels


def _alone(reading: Reading, usage: Usage, select: exp.Select) -> str | None:
    """Return a nested select or a part of a UNION as it stands, if it needs no other table."""
    sources = usage.of(select)
    if select is reading.tree or len(sources) != 1 or select.args.get("joins"):
        return None
    piece = select_piece(reading, select)
    if piece is None or piece.has_parameter or piece.query_count > 1:
        return None
    if usage.owners_of(select) not in ([], sources):
        return None
    reference = next(one for one in reading.references if one.table.parent_select is select)
    start, end = reference.start, reference.identifiers[-1].meta["end"] + 1
    edit = Edit(start, end, str(full_name(reference, reading.defaults)))
    return _one_line(splice(reading.sql, [edit], start=piece.start, end=piece.end))


def _own_conditions(reading: Reading, usage: Usage, select: exp.Select) -> dict[int, list[str]]:
    """Return the conditions of a select that concern one table alone and may be asked first."""
    found: dict[int, list[str]] = {}
    for clause, filtered in _conditions(usage, select):
        for part, piece in condition_pieces(reading, clause):
            owners = usage.owners_of(part)
            if len(owners) != 1 or owners[0] not in filtered:
                continue
            if piece.query_count or piece.has_parameter:
                continue
            edits = list(_unqualified(usage, part))
            text = splice(reading.sql, edits, start=piece.start, end=piece.end)
            found.setdefault(id(owners[0]), []).append(
                f"({_one_line(text)})" if isinstance(part, exp.Or) else _one_line(text)
            )
    return found


def _conditions(usage: Usage, select: exp.Select) -> Iterator[tuple[exp.Expr, list[Source]]]:
    """Yield each condition with the tables whose rows it may take away before the join."""
    sources = usage.of(select)
    joins = select.args.get("joins") or []
    sides = [str(join.args.get("side") or "").upper() for join in joins]
    kinds = [str(join.args.get("kind") or "").upper() for join in joins]
    is_outer = any(sides) or "OUTER" in kinds
    where = select.args.get("where")
    if where is not None:
        # Rows that an outer join makes up are seen by WHERE: only the side that it keeps is safe.
        kept = sources[:1] if set(sides) <= {"", "LEFT"} else []
        yield where.this, kept if is_outer else sources
    for position, join in enumerate(joins):
        condition = join.args.get("on")
        if condition is None or len(sources) != len(joins) + 1:
            continue
        if not is_outer:
            yield condition, sources
        elif set(sides) <= {"", "LEFT"} and "LEFT" in sides[position]:
            yield condition, [sources[position + 1]]


def _unqualified(usage: Usage, node: exp.Expr) -> Iterator[Edit]:
    """Yield the edits that take the table's name from before its columns."""
    for column in node.find_all(exp.Column):
        parts = parts_of(column)
        owners = usage.owners.get(id(column), [])
        lengths = [
            length
            for length in range(1, len(parts))
            if any(owner.is_called(qualifier_of(parts[:length])) for owner in owners)
        ]
        if lengths:
            yield Edit(parts[0].meta["start"], parts[lengths[-1]].meta["start"], "")


def _select_of(source: Source, conditions: list[str]) -> str:
    used = [name for name in source.schema.names if name in source.used]
    is_whole = not used or len(used) == len(source.schema.names) or len(used) > _MOST_COLUMNS
    columns = "*" if is_whole else ", ".join(_column(source, name) for name in used)
    where = f" where {' and '.join(conditions)}" if conditions else ""
    return f"select {columns} from {source.name}{where}"


def _column(source: Source, name: str) -> str:
    """Return a column as one would type it: quoted only where it must be."""
    tokens = read_tokens(name) if name.isidentifier() and name.isascii() else []
    is_plain = (
        len(tokens) == 1
        and is_word(tokens[0])
        and tokens[0].token_type is TokenType.VAR
        and name.upper() not in _RESERVED
    )
    twins = sum(each.lower() == name.lower() for each in source.schema.names)
    return name if is_plain and twins == 1 else '"' + name.replace('"', '""') + '"'


def _one_line(text: str) -> str:
    return text if "\n" not in text else " ".join(text.split())
