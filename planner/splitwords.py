"""How to put the parts of a split statement together again, in polars and in DuckDB."""

from collections.abc import Sequence
from typing import TypeGuard

from sqlglot import exp

from planner.reading import Reading
from planner.references import engine_name
from planner.sources import Source, Usage, shared_columns

_SIDES = {"LEFT": "left", "RIGHT": "right", "FULL": "full"}
_KINDS = {"CROSS": "cross", "SEMI": "semi", "ANTI": "anti"}


def how_to_join(reading: Reading, usage: Usage, labels: Sequence[str]) -> str:
    """Return what to do with the results, which have these names."""
    code = _polars(reading, usage, labels)
    named = f"{', '.join(labels[:-1])} and {labels[-1]}"
    duckdb = f"in DuckDB with your own statement, {named} in the place of its tables"
    return f"then go on in polars with {code}, or {duckdb}" if code else f"then go on {duckdb}"


def _polars(reading: Reading, usage: Usage, labels: Sequence[str]) -> str | None:
    """Return the expression that joins two results, if it is a plain one."""
    if len(labels) != 2 or len(usage.sources) != 2:  # noqa: PLR2004  a join is of two
        return None
    tree = reading.tree
    if isinstance(tree, exp.SetOperation):
        return _polars_set(tree, labels)
    compared = _compared(tree)
    if compared is not None:
        return _polars_in(compared, usage, labels)
    if not isinstance(tree, exp.Select) or len(usage.of(tree)) != len(labels):
        return None
    return _polars_join(tree, usage, labels)


def _polars_set(tree: exp.SetOperation, labels: Sequence[str]) -> str | None:
    left, right = labels
    if not isinstance(tree, exp.Union) and not tree.args.get("distinct"):
        return None
    if isinstance(tree, exp.Union):
        unique = ".unique()" if tree.args.get("distinct") else ""
        return f"polars.concat([{left}, {right}]){unique}"
    how = "semi" if isinstance(tree, exp.Intersect) else "anti"
    return f'{left}.unique().join({right}, on={left}.columns, how="{how}", nulls_equal=True)'


def _compared(tree: exp.Expr) -> exp.In | None:
    """Return the one `column IN (SELECT column …)` of a select, if that is what its WHERE holds."""
    found = [node for node in tree.find_all(exp.In) if node.args.get("query") is not None]
    return found[0] if len(found) == 1 else None


def _polars_in(compared: exp.In, usage: Usage, labels: Sequence[str]) -> str | None:
    inner = compared.args["query"].unnest()
    if not isinstance(inner, exp.Select) or len(inner.expressions) != 1:
        return None
    column, answered = compared.this, inner.expressions[0]
    if not isinstance(column, exp.Column) or not answered.output_name:
        return None
    # NOT IN is no anti join: one null among the values, and it finds nothing.
    if len(usage.owners_of(column)) != 1 or not isinstance(compared.parent, exp.Where):
        return None
    left = _names(usage.owners_of(column)[0], column)
    return _call(labels, [(left, _output(usage, answered))], "semi")


def _output(usage: Usage, item: exp.Expr) -> str:
    owners = usage.owners_of(item)
    if isinstance(item, exp.Column) and owners:
        return _names(owners[0], item)
    return str(item.output_name)


def _polars_join(select: exp.Select, usage: Usage, labels: Sequence[str]) -> str | None:
    joins = select.args.get("joins") or []
    if len(joins) != 1:
        return None
    sources, join = usage.of(select), joins[0]
    kind = _KINDS.get(str(join.args.get("kind") or "").upper())
    how = kind or _SIDES.get(str(join.args.get("side") or "").upper(), "")
    keys = _shared_keys(join, sources)
    for clause in (join.args.get("on"), getattr(select.args.get("where"), "this", None)):
        compared = [] if clause is None else _equal_keys(usage, sources, clause)
        if compared is None:
            return None
        keys += compared
    if keys:
        return _call(labels, keys, "" if how == "cross" else how)
    return _call(labels, [], "cross") if join.args.get("on") is None else None


def _shared_keys(join: exp.Expr, sources: list[Source]) -> list[tuple[str, str]]:
    shared = {name.name.lower() for name in join.args.get("using") or [] if hasattr(name, "name")}
    if str(join.args.get("method") or "").upper() == "NATURAL":
        shared |= shared_columns(sources)
    left, right = sources
    return [
        (name, str(right.find(name, quoted=False)))
        for name in left.schema.names
        if name.lower() in shared
    ]


def _equal_keys(
    usage: Usage, sources: list[Source], clause: exp.Expr
) -> list[tuple[str, str]] | None:
    """Return the pairs of columns that a condition holds equal; None when it compares otherwise."""
    keys: list[tuple[str, str]] = []
    parts = list(clause.flatten()) if isinstance(clause, exp.And) else [clause]
    for part in parts:
        owners = usage.owners_of(part)
        if len(owners) < 2:  # noqa: PLR2004  of one table alone
            continue
        sides = [side for side in (part.this, part.args.get("expression")) if _is_column(side)]
        if not isinstance(part, exp.EQ) or len(sides) < len(owners):
            return None
        named = {id(owner): name for side in sides for owner, name in _owned(usage, side)}
        if set(named) != {id(source) for source in sources}:
            return None
        keys.append((named[id(sources[0])], named[id(sources[1])]))
    return keys


def _is_column(node: object) -> TypeGuard[exp.Column]:
    return isinstance(node, exp.Column)


def _owned(usage: Usage, column: exp.Column) -> list[tuple[Source, str]]:
    return [(owner, _names(owner, column)) for owner in usage.owners_of(column)]


def _names(source: Source, column: exp.Expr) -> str:
    """Return a column as its table has it."""
    written = column.this
    name = engine_name(written) if isinstance(written, exp.Identifier) else str(column.output_name)
    quoted = bool(isinstance(written, exp.Identifier) and written.args.get("quoted"))
    return source.find(name, quoted=quoted) or name


def _call(labels: Sequence[str], keys: list[tuple[str, str]], how: str) -> str:
    left, right = labels
    shown = f', how="{how}"' if how else ""
    if not keys:
        return f"{left}.join({right}{shown})"
    mine, theirs = zip(*keys, strict=True)
    if mine == theirs:
        return f"{left}.join({right}, on={_list(mine)}{shown})"
    return f"{left}.join({right}, left_on={_list(mine)}, right_on={_list(theirs)}{shown})"


def _list(names: Sequence[str]) -> str:
    listed = [f'"{name}"' for name in names]
    return listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
