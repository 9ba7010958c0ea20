"""What stands in FROM is a table, a query, or one of three functions that make rows of literals.

The engine computes the arguments of these functions while it plans; anything but literals could
keep it busy or fill its memory before any limit of a running statement applies.
"""

from sqlglot import exp

from planner.dialect import shown
from planner.errors import SqlSyntaxError, StatementNotSupportedError
from planner.reading import Reading

_SERIES = frozenset({"generate_series", "range"})
_LITERAL_PARTS = (
    exp.Literal,
    exp.Neg,
    exp.Cast,
    exp.DataType,
    exp.DataTypeParam,
    exp.Interval,
    exp.Var,
    exp.IntervalSpan,
    exp.Null,
    exp.Paren,
)


def check_table_functions(reading: Reading) -> None:
    """Refuse functions in FROM other than unnest, generate_series and range.

    Raises:
        StatementNotSupportedError: When there is one, or when a series is not made of literals.
        SqlSyntaxError: When a name has more than three parts.
    """
    for table in reading.nodes.of(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            _check_series(reading, table)


def _check_series(reading: Reading, table: exp.Table) -> None:
    call = table.this
    if isinstance(call, exp.Dot):
        raise SqlSyntaxError(
            f"{reading.place(table)}: a name in FROM has more parts than catalog.schema.table; "
            "write catalog.schema.table@cluster"
        )
    name = _name_of(call)
    if name not in _SERIES or table.args.get("db") is not None:
        raise StatementNotSupportedError(
            f"{reading.place(table)}: {shown(name)}() cannot stand in FROM; only unnest, "
            "generate_series and range can"
        )
    for node in call.walk():
        if node is not call and not isinstance(node, _LITERAL_PARTS):
            raise StatementNotSupportedError(
                f"{reading.place(table)}: the arguments of {name}() in FROM must be literals; "
                "write the values out"
            )


def _name_of(call: exp.Expr) -> str:
    return call.name.lower() if isinstance(call, exp.Anonymous) else call.key.lower()
