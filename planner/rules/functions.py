"""No function of a query reaches a file or a host."""

import re

from sqlglot import exp

from planner.dialect import shown
from planner.errors import SqlSyntaxError, StatementNotSupportedError, StatementTooLargeError
from planner.reading import Reading

# Unknown to the engine as well; named here so that the refusal tells what to do.
_REACHING = re.compile(
    r"(read|scan|sniff|load|copy|pg_read|pg_ls|pg_stat_file|lo|dblink|http|https|url|query_to_xml"
    r"|parquet|csv|json_scan|iceberg|delta|postgres|mysql|sqlite|s3|hdfs)(_\w+)*"
    r"|glob|\w+_scan|\w+_metadata|pg_sleep|pg_terminate_backend|set_config|current_setting"
    r"|input_file_name"
)
_HARMLESS = re.compile(
    r"arrow_metadata|with_metadata|url_(de|en)code|parse_url|json_\w+|loop|log\w*|lower|load_factor"
)


# The engine reads their types with a parser that recurses: deep ones would end the process.
_TYPED = frozenset({"arrow_cast", "arrow_try_cast", "try_arrow_cast"})
_DEEPEST_TYPE = 50


def check_functions(reading: Reading) -> None:
    """Refuse functions that reach files or hosts, and functions with a cluster.

    Raises:
        StatementTooLargeError: When the type that one casts to is nested too deeply.
        StatementNotSupportedError: When one would reach a file or a host.
        SqlSyntaxError: When a function is written with `@cluster`.
    """
    for node in reading.nodes.of(exp.Func):
        name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
        if "@" in name:
            raise SqlSyntaxError(
                f"{reading.place(node)}: {shown(name)!r} is called like a function; functions "
                "belong to no cluster: leave out what follows the @"
            )
        lowered = name.lower()
        if lowered in _TYPED:
            _check_type(reading, node)
        if _REACHING.fullmatch(lowered) and not _HARMLESS.fullmatch(lowered):
            raise StatementNotSupportedError(
                f"{reading.place(node)}: {shown(lowered)}() would reach files, hosts or settings, "
                "which queries may not; ask for tables by name (SHOW TABLES lists them)"
            )


def _check_type(reading: Reading, cast: exp.Expr) -> None:
    """Refuse a cast to a type that is nested too deeply, or that only a parameter tells.

    Raises:
        StatementTooLargeError: When it is nested more deeply than `_DEEPEST_TYPE`.
        StatementNotSupportedError: When it is a parameter.
    """
    kind = (cast.expressions or [cast])[-1]
    if kind.find(exp.Parameter, exp.Placeholder) is not None:
        raise StatementNotSupportedError(
            f"{reading.place(cast)}: the type of {shown(cast.name)}() cannot be a parameter; write "
            "it as a text"
        )
    if any(text.name.count("(") > _DEEPEST_TYPE for text in kind.find_all(exp.Literal)):
        raise StatementTooLargeError(
            f"{reading.place(cast)}: the type here is nested more deeply than {_DEEPEST_TYPE}; "
            "write a simpler one"
        )
