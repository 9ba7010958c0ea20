"""What the engine answers wrongly of subqueries at home, where they are allowed.

Measured against SQLite with tables that hold NULL. A comparison by ANY or ALL takes a column of
the subquery for the outer one of the same name. IN over a query is NULL when it cannot tell, but
the engine makes false of it wherever more than a filter hangs on it. A wrong answer is worse than
none. What only a plan shows of correlated subqueries is seen in `planner.subplans`.
"""

from sqlglot import exp

from planner.errors import StatementNotSupportedError
from planner.reading import Reading
from planner.references import start_of
from planner.rules.wording import place_of, said, words_before

_QUANTIFIERS = {"ANY", "SOME", "ALL"}
_NULL_SAFE = "write NOT EXISTS (SELECT 1 FROM … WHERE … = …), which is never NULL"
_WRONG = "is answered wrongly by the engine where it is NULL"
_CLAUSES = (exp.Where, exp.Having, exp.Qualify, exp.Join)
_SIGNS: dict[type[exp.Expr], str] = {exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}


def check_home_subqueries(reading: Reading) -> None:
    """Refuse ANY and ALL over a query, and IN over a query where its NULL would count.

    Raises:
        StatementNotSupportedError: When the query holds one.
    """
    if not reading.is_home:
        return
    for node in reading.nodes.of(exp.Any, exp.All, exp.Anonymous):
        if _is_quantified(node):
            raise _refusal(
                reading,
                node,
                _QUANTIFIERS,
                f"over a query is answered wrongly by the engine; {_instead(node)}",
            )
    for node in reading.nodes.of(exp.In):
        where = _fault_of(node) if _has_query(node) else None
        if where is not None:
            raise _refusal(reading, node.args.get("query") or node.expressions[0], {"IN"}, where)


def _refusal(
    reading: Reading, node: exp.Expr, words: set[str], fault: str
) -> StatementNotSupportedError:
    query = next(node.find_all(exp.Query), node)
    run = words_before(reading, start_of(query), {*words, "NOT"})
    return StatementNotSupportedError(
        f"{place_of(reading, run, start_of(query))}: {said(run) or min(words)} {fault}"
    )


def _is_quantified(node: exp.Expr) -> bool:
    if isinstance(node, exp.Anonymous):
        return node.name.upper() in _QUANTIFIERS and any(
            isinstance(each.unnest(), exp.Query) for each in node.expressions
        )
    return isinstance(node.this, exp.Expr) and isinstance(node.this.unnest(), exp.Query)


def _instead(node: exp.Expr) -> str:
    """Return what to write instead of a comparison with the rows of a query."""
    comparison = node.parent
    is_all = isinstance(node, exp.All) or node.name.upper() == "ALL"
    if isinstance(comparison, exp.EQ) and not is_all:
        return "write IN (SELECT …)"
    if isinstance(comparison, exp.NEQ) and is_all:
        return "write NOT IN (SELECT …)"
    sign = None if comparison is None else _SIGNS.get(type(comparison))
    if sign is None:
        return "write EXISTS (SELECT 1 FROM … WHERE …) with the comparison in its WHERE"
    end = "max" if (sign[0] == ">") is is_all else "min"
    return f"write {sign} (SELECT {end}(…) FROM …)"


def _has_query(node: exp.In) -> bool:
    listed = node.expressions
    return node.args.get("query") is not None or (
        len(listed) == 1 and isinstance(listed[0].unnest(), exp.Query)
    )


def _fault_of(node: exp.In) -> str | None:
    """Return why an IN over a query is not answered where it stands; None where it is.

    Where rows are filtered, and only there, NULL and false come to the same, as long as neither is
    negated. A NOT IN that every row must pass is the one that the engine computes as it should.
    """
    below: exp.Expr = node
    is_negative = has_more = False
    while (parent := below.parent) is not None:
        if isinstance(parent, exp.Not) and below.unnest() is node and not is_negative:
            is_negative = True
        elif isinstance(parent, exp.Or):
            has_more = True
        elif isinstance(parent, exp.If) and below is parent.this and _is_searched(parent):
            return f"over a query in CASE {_WRONG}; {_NULL_SAFE}" if is_negative else None
        elif isinstance(parent, _CLAUSES):
            break
        elif not isinstance(parent, (exp.And, exp.Paren)):
            return (
                f"over a query {_WRONG}; write EXISTS (SELECT 1 FROM … WHERE … = …), or ask for it "
                "in WHERE, HAVING or CASE WHEN"
            )
        below = parent
    return f"over a query beside OR {_WRONG}; {_NULL_SAFE}" if is_negative and has_more else None


def _is_searched(branch: exp.If) -> bool:
    """Whether a branch of CASE holds a condition, not a value to compare with."""
    return branch.parent is not None and branch.parent.args.get("this") is None
