"""What stands in the FROM of each SELECT, and which of them an expression can see."""

from collections.abc import Iterator

from sqlglot import exp


def pieces_of(select: exp.Expr) -> list[exp.Expr]:
    """Return what stands in the FROM of a SELECT: tables, subqueries and joined ones, in order."""
    clause = select.args.get("from_")
    waiting = [clause.this] if clause is not None else []
    waiting += [join.this for join in select.args.get("joins") or []]
    pieces: list[exp.Expr] = []
    while waiting:
        piece = waiting.pop(0)
        waiting[:0] = [join.this for join in piece.args.get("joins") or []]
        if isinstance(piece, exp.Subquery) and isinstance(piece.this, exp.Table):
            waiting.insert(0, piece.this)  # FROM (a JOIN b …)
            if piece.args.get("alias") is None:
                continue
        pieces.append(piece)
    return pieces


def selects_around(node: exp.Expr) -> Iterator[exp.Select]:
    """Yield the SELECTs that a node stands in, the innermost first."""
    parent = node.parent
    while parent is not None:
        if isinstance(parent, exp.Select):
            yield parent
        parent = parent.parent


def alias_of(piece: exp.Expr) -> exp.Identifier | None:
    """Return the name that a piece of FROM is given with AS, if it is given one."""
    alias = piece.args.get("alias")
    if alias is None or not isinstance(alias.this, exp.Identifier):
        return None
    return alias.this
