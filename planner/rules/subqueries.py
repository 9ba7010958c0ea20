"""Of subqueries in expressions, only uncorrelated scalar ones: all others are joins.

What cannot be seen without schemas (an outer column without its table's name) is seen in the plan.
"""

from sqlglot import exp

from planner.errors import JoinNotSupportedError
from planner.reading import Reading
from planner.references import engine_name, start_of
from planner.rules.joins import INSTEAD
from planner.rules.wording import place_of, said, tables_of, words_before


def check_subqueries(reading: Reading) -> None:
    """Refuse IN, EXISTS, ANY and ALL over a query, and correlated subqueries.

    Raises:
        JoinNotSupportedError: When the query holds one.
    """
    if reading.is_home:
        return
    for query in reading.nodes.of(exp.Select, exp.SetOperation, exp.Values):
        word = _compared_by(query)
        if word is not None:
            start = start_of(query)
            run = words_before(reading, start, {*_WORDS[word], "NOT"})
            raise JoinNotSupportedError(
                f"{place_of(reading, run, start)}: {said(run) or word} over a query"
                f"{tables_of(reading)} is a join; {_LIST if word == 'IN' else ''}{INSTEAD}"
            )
    for query in reading.nodes.of(exp.Select):
        outer = _outer_column(query)
        if outer is not None:
            raise JoinNotSupportedError(
                f"{reading.place(outer)}: the subquery uses {outer.table} of the query around it"
                f"{tables_of(reading)}, which is a join; {INSTEAD}"
            )


_LIST = "send the inner query first and write its values as a list, or "
_WORDS = {"IN": {"IN"}, "EXISTS": {"EXISTS"}, "ANY": {"ANY", "SOME"}, "ALL": {"ALL"}}


def _compared_by(query: exp.Expr) -> str | None:
    """Return the word that compares with the rows of this query, if one does."""
    parent = query.parent
    while isinstance(parent, (exp.Subquery, exp.Paren)):
        query, parent = parent, parent.parent
    if isinstance(parent, exp.In):
        return "IN" if query is not parent.this else None
    if isinstance(parent, (exp.Exists, exp.Any, exp.All)):
        return parent.key.upper()
    return None


def _outer_column(query: exp.Select) -> exp.Column | None:
    """Return a column that belongs to a table around the subquery, if its qualifier says so."""
    around: set[str] = set()
    select = query.parent_select
    while select is not None:
        around |= _sources(select)
        select = select.parent_select
    if not around:
        return None
    for column in query.find_all(exp.Column):
        qualifier = column.args.get("table")
        if not isinstance(qualifier, exp.Identifier) or engine_name(qualifier) not in around:
            continue
        inside: set[str] = set()
        scope = column.parent_select
        while scope is not None:
            inside |= _sources(scope)
            if scope is query:
                break
            scope = scope.parent_select
        if engine_name(qualifier) not in inside:
            return column
    return None


def _sources(select: exp.Expr) -> set[str]:
    """Return the names under which a SELECT's own FROM offers its tables."""
    names: set[str] = set()
    clause = select.args.get("from_")
    pieces = [clause.this] if clause is not None else []
    pieces += [join.this for join in select.args.get("joins") or []]
    for piece in pieces:
        alias = piece.args.get("alias")
        named = alias.this if alias is not None else None
        if named is None and isinstance(piece, exp.Table):
            named = piece.this
        if isinstance(named, exp.Identifier):
            names.add(engine_name(named).rpartition("@")[0] or engine_name(named))
            names.add(engine_name(named))
    return names
