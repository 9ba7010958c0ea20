"""A query holds its values: parameters are not bound yet."""

from sqlglot import exp

from planner.errors import StatementNotSupportedError
from planner.reading import Reading


def check_parameters(reading: Reading) -> None:
    """Refuse `$1`, `?` and `:name`.

    Raises:
        StatementNotSupportedError: When the query holds one.
    """
    for node in reading.nodes.of(exp.Parameter, exp.Placeholder):
        raise StatementNotSupportedError(
            f"{reading.place(node.parent or node)}: parameters such as $1 and ? are not supported; "
            "write the value into the text"
        )
