"""Window functions stand where the rows of a result are known: in SELECT, QUALIFY and ORDER BY.

The engine's planner takes them in WHERE and HAVING too, and fails when it runs them.
"""

from sqlglot import exp

from planner.errors import SqlSyntaxError
from planner.reading import Reading

_CLAUSES: dict[type[exp.Expr], str] = {
    exp.Where: "WHERE",
    exp.Having: "HAVING",
    exp.Group: "GROUP BY",
    exp.Join: "a join",
}


def check_windows(reading: Reading) -> None:
    """Refuse a window function in WHERE, HAVING, GROUP BY or the condition of a join.

    Raises:
        SqlSyntaxError: When there is one.
    """
    for window in reading.nodes.of(exp.Window):
        clause = window.find_ancestor(*_CLAUSES, exp.Select)
        word = None if clause is None else _CLAUSES.get(type(clause))
        if word is not None:
            raise SqlSyntaxError(
                f"{reading.place(window)}: a window function cannot stand in {word}, which comes "
                "before windows; filter with QUALIFY, or around a derived table"
            )
