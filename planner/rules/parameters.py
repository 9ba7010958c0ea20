"""Values are bound to `$1`, `?` and `$name`; other systems' ways of writing them are not read."""

from sqlglot import exp

from planner.errors import SqlSyntaxError
from planner.placeholders import find_placeholders, parameter_names
from planner.reading import Reading


def check_parameters(reading: Reading) -> None:
    """Refuse parameters that are not written as such, or not numbered without a gap.

    Raises:
        SqlSyntaxError: When there is one.
    """
    for node in reading.nodes.of(exp.Placeholder):
        if isinstance(node.this, str) and node.this:
            raise SqlSyntaxError(
                f"{reading.place(node.parent or node)}: parameters are written as ?, $1 or $name, "
                f"not as :{node.this[:63]}; write ${node.this[:63]}"
            )
    for table in reading.nodes.of(exp.Table):
        if isinstance(table.this, (exp.Parameter, exp.Placeholder)):
            raise SqlSyntaxError(
                f"{reading.place(table.parent or table)}: a parameter stands for a value, not for "
                "a table; write the table's name"
            )
    parameter_names(reading.sql, find_placeholders(reading.sql, reading.tokens))
