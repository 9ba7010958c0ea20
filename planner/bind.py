"""Names completed, and taken out of the text that an engine reads.

The edits are minimal: an engine of one cluster knows no clusters and keeps its names in lower case,
so `quote@hangzhou` becomes `quote` and `"Trading@hangzhou"` becomes `"trading"`. Missing catalogs
and schemas are left to the engine's session, so that output columns keep the names that the engine
gives them. The edited text, read again under the query's own defaults, names the same tables.
"""

from sqlglot import exp

from planner.counting import count_work
from planner.dialect import place_at, shown
from planner.edits import Edit, splice
from planner.errors import NotFoundError, SqlSyntaxError
from planner.placeholders import find_placeholders, parameter_names, replacement_of
from planner.qualifiers import fold_edits, full_parts, qualifier_edits
from planner.reading import Reading
from planner.references import Reference, cte_name, start_of
from planner.statement import Explain, Query
from planner.work import check_work
from storage.names import ObjectName

_TABLE_PARTS = 3


def bind_query(reading: Reading, *, explain: Explain | None) -> Query:
    """Return the query that a reading stands for.

    Raises:
        NotFoundError: When a name lacks its catalog or schema and there is no default.
        SqlSyntaxError: When `@` stands in a name that is no table, or in a WITH part's.
        UnknownColumnError: When a column is qualified by a table that is not in FROM.
        MultiClusterQueryError: When a column is qualified by a table of another cluster.
        StatementTooLargeError: When planning would take too many steps, whatever the tables are.
    """
    _check_parts(reading)
    work = count_work(reading.nodes)
    check_work(work, reading.limits)
    cluster = next(iter(reading.clusters), reading.defaults.cluster)
    tables = {_complete(reading, reference, cluster) for reference in reading.references}
    edits = [edit for reference in reading.references for edit in _edits_of(reading, reference)]
    edits += [*qualifier_edits(reading, cluster), *reading.edits]
    placeholders = find_placeholders(reading.sql, reading.tokens)
    edits += [
        Edit(one.start, one.end, replacement_of(reading.sql, one))
        for one in placeholders
        if one.is_positional
    ]
    _check_all_bound(reading, edits)
    first, last = reading.tokens[0], reading.tokens[-1]
    before, after = reading.sql[: first.start], reading.sql[last.end + 1 :]
    start = first.start if explain or reading.is_part or ";" in before else 0
    text = splice(
        reading.sql,
        edits,
        start=start,
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
        is_home=reading.is_home,
        start=start,
        edits=tuple(sorted(set(edits))),
        work=work,
        limits=reading.limits,
        parameters=parameter_names(reading.sql, placeholders),
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


def _check_parts(reading: Reading) -> None:
    """Refuse WITH parts whose name an engine would take for a table's with its schema.

    Raises:
        SqlSyntaxError: When there is one.
    """
    for cte in reading.nodes.of(exp.CTE):
        name = cte_name(cte)
        if "." in name or "@" in name:
            alias = cte.args["alias"]
            raise SqlSyntaxError(
                f"{place_at(reading.sql, start_of(alias))}: the WITH part {shown(name)!r} is named "
                "like a table; give it another name, without . and @"
            )


def _edits_of(reading: Reading, reference: Reference) -> list[Edit]:
    """Return the edits of a table's name in FROM.

    A name that a WITH part of the same name would hide is written out in full.
    """
    if reference.is_shadowed:
        start, end = reference.start, reference.identifiers[-1].meta["end"] + 1
        full = full_parts(reading.defaults, reference)
        return [Edit(start, end, ".".join(f'"{part}"' for part in full))]
    return fold_edits(reading.sql, reference.identifiers)


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
