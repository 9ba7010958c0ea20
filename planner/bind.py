"""Names completed, and taken out of the text that an engine reads.

The edits are minimal: an engine of one cluster knows no clusters and keeps its names in lower case,
so `quote@hangzhou` becomes `quote` and `"Trading@hangzhou"` becomes `"trading"`. Missing catalogs
and schemas are left to the engine's session, so that output columns keep the names that the engine
gives them. The edited text, read again under the query's own defaults, names the same tables.
"""

from dataclasses import dataclass

from sqlglot import exp

from planner.dialect import place_at, shown
from planner.errors import (
    MultiClusterQueryError,
    NotFoundError,
    SqlSyntaxError,
    UnknownColumnError,
)
from planner.reading import Reading
from planner.references import Reference, cte_name, engine_name, read_parts, start_of
from planner.rules.expansion import count_whole_reads
from planner.statement import Query
from storage.names import ObjectName

_TABLE_PARTS = 3


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """A piece of a text to be replaced: from `start` up to, not including, `end`."""

    start: int
    end: int
    replacement: str


def splice(text: str, edits: list[Edit], *, start: int = 0, end: int | None = None) -> str:
    """Return a part of a text with its pieces replaced; edits do not overlap."""
    pieces: list[str] = []
    position = start
    for edit in sorted(set(edits)):
        pieces += (text[position : edit.start], edit.replacement)
        position = edit.end
    pieces.append(text[position:end])
    return "".join(pieces)


def bind_query(reading: Reading, *, explain: bool, analyze: bool) -> Query:
    """Return the query that a reading stands for.

    Raises:
        NotFoundError: When a name lacks its catalog or schema and there is no default.
        SqlSyntaxError: When `@` stands in a name that is no table, or a WITH part hides a table.
        UnknownColumnError: When a column is qualified by a table that is not in FROM.
        MultiClusterQueryError: When a column is qualified by a table of another cluster.
    """
    _check_hidden(reading)
    cluster = next(iter(reading.clusters), reading.defaults.cluster)
    tables = {_complete(reading, reference, cluster) for reference in reading.references}
    edits = [
        edit
        for reference in reading.references
        for edit in _edits_of(reading.sql, reference.identifiers)
    ]
    edits += _qualifier_edits(reading, cluster)
    _check_all_bound(reading, edits)
    first, last = reading.tokens[0], reading.tokens[-1]
    before, after = reading.sql[: first.start], reading.sql[last.end + 1 :]
    text = splice(
        reading.sql,
        edits,
        start=first.start if explain or ";" in before else 0,
        end=last.end + 1 if ";" in after else None,
    )
    return Query(
        sql=reading.sql,
        text=text,
        cluster=cluster,
        catalog=reading.defaults.catalog,
        schema=reading.defaults.schema,
        tables=tuple(sorted(tables)),
        explain=explain,
        analyze=analyze,
        is_home=reading.is_home,
        whole_reads=count_whole_reads(reading.nodes),
    )


def _complete(reading: Reading, reference: Reference, cluster: str) -> ObjectName:
    """Return the full name of a table, with what the session says for missing parts."""
    defaults = (reading.defaults.catalog, reading.defaults.schema)
    missing = _TABLE_PARTS - len(reference.parts)
    parts = (*defaults[:missing], *reference.parts)
    if len(parts) == _TABLE_PARTS and None not in parts:
        return ObjectName(cluster, *parts)
    lacking = (
        "catalog and schema"
        if missing > 1 and defaults == (None, None)
        else ("catalog" if defaults[0] is None else "schema")
    )
    raise NotFoundError(
        f"{place_at(reading.sql, reference.start)}: {reference} lacks its {lacking}; write "
        f"catalog.schema.table@cluster, or set the session's {lacking}"
    )


def _check_hidden(reading: Reading) -> None:
    """Refuse WITH parts whose name an engine would take for one of the tables.

    Raises:
        SqlSyntaxError: When there is one.
    """
    written = {
        ".".join(reference.parts): reference
        for reference in reading.references
        if reference.cluster is not None or len(reference.parts) > 1
    }
    bare = {name for name in written if "." not in name}
    for cte in reading.nodes.of(exp.CTE):
        name = cte_name(cte)
        if name in bare or "." in name or "@" in name:
            alias = cte.args["alias"]
            raise SqlSyntaxError(
                f"{place_at(reading.sql, start_of(alias))}: the WITH part {shown(name)!r} is named "
                "like a table; give it another name, without . and @"
            )


def _edits_of(sql: str, identifiers: tuple[exp.Identifier, ...]) -> list[Edit]:
    """Return the edits that take the cluster out of a written name and fold its quoted parts."""
    edits: list[Edit] = []
    for identifier in identifiers:
        start, end = identifier.meta["start"], identifier.meta["end"] + 1
        name = str(identifier.this).partition("@")[0]
        replacement = f'"{name.lower()}"' if identifier.args.get("quoted") else name
        if sql[start:end] != replacement:
            edits.append(Edit(start, end, replacement))
    return edits


def _qualifier_edits(reading: Reading, cluster: str) -> list[Edit]:
    """Return the edits of the qualifiers of columns that name a table, not an alias."""
    aliases = _aliases(reading)
    known = {
        reference.parts[-count:]
        for reference in reading.references
        for count in range(1, len(reference.parts) + 1)
    } | {_full_parts(reading, reference) for reference in reading.references}
    edits: list[Edit] = []
    for column in reading.nodes.of(exp.Column):
        parts = tuple(part for part in column.parts[:-1] if isinstance(part, exp.Identifier))
        if parts and isinstance(column.this, exp.Star):
            edits += _star_edits(reading, parts, aliases, cluster)
            continue
        if not any("@" in str(part.this) or part.args.get("quoted") for part in parts):
            continue
        if len(parts) == 1 and engine_name(parts[0]) in aliases:
            continue
        if not any("@" in str(part.this) for part in parts):
            if tuple(str(part.this).lower() for part in parts) in known:
                edits += _edits_of(reading.sql, parts)
            continue
        edits += _clustered_qualifier(reading, parts, cluster, known)
    return edits


def _star_edits(
    reading: Reading, identifiers: tuple[exp.Identifier, ...], aliases: set[str], cluster: str
) -> list[Edit]:
    """Return the edit of `table.*`, which engines know only by the very name that stands in FROM.

    Raises:
        UnknownColumnError: When a written cluster is not that of a table in FROM.
    """
    if len(identifiers) == 1 and engine_name(identifiers[0]) in aliases:
        return []
    parts, named = read_parts(reading.sql, identifiers)
    meant = [
        reference
        for reference in reading.references
        if reference.alias is None
        and _full_parts(reading, reference)[-len(parts) :] == parts
        and named in {None, reference.cluster or reading.defaults.cluster}
    ]
    if len({reference.parts for reference in meant}) == 1:
        start, end = identifiers[0].meta["start"], identifiers[-1].meta["end"] + 1
        replacement = ".".join(f'"{part}"' for part in meant[0].parts)
        if meant[0].parts == parts and named is None:
            return _edits_of(reading.sql, identifiers)
        return [Edit(start, end, replacement)]
    if named is None:
        return []
    return _clustered_qualifier(reading, identifiers, cluster, set())


def _clustered_qualifier(
    reading: Reading,
    identifiers: tuple[exp.Identifier, ...],
    cluster: str,
    known: set[tuple[str, ...]],
) -> list[Edit]:
    parts, named = read_parts(reading.sql, identifiers)
    place = place_at(reading.sql, identifiers[0].meta["start"])
    if named != cluster and reading.references:
        raise MultiClusterQueryError(
            f"{place}: the statement reads {cluster}, and this column is of {named}; one statement "
            "reads one cluster: send two queries and join their results in polars or DuckDB"
        )
    if parts not in known:
        raise UnknownColumnError(
            f"{place}: {'.'.join(parts)}@{named} is not in FROM; qualify columns by a table or "
            "alias of the FROM clause"
        )
    return _edits_of(reading.sql, identifiers)


def _full_parts(reading: Reading, reference: Reference) -> tuple[str, ...]:
    missing = _TABLE_PARTS - len(reference.parts)
    defaults = (reading.defaults.catalog or "", reading.defaults.schema or "")
    return (*defaults[:missing], *reference.parts)


def _aliases(reading: Reading) -> set[str]:
    """Return every alias of a table or WITH part, as the engine keeps it."""
    return {
        engine_name(alias.this)
        for alias in reading.nodes.of(exp.TableAlias)
        if isinstance(alias.this, exp.Identifier)
    }


def _check_all_bound(reading: Reading, edits: list[Edit]) -> None:
    """Refuse `name@cluster` where no table is named: as an alias, a column, a function.

    Raises:
        SqlSyntaxError: When there is one.
    """
    unbound = reading.joined - {edit.start for edit in edits}
    if unbound:
        raise SqlSyntaxError(
            f"{place_at(reading.sql, min(unbound))}: name@cluster names a table, and no table can "
            "stand here; quote other names that hold an @"
        )
