"""Which functions DataFusion has, and which of them a statement calls."""

from datafusion import SessionConfig, SessionContext
from sqlglot import exp

# What the corpus cannot call, each with its reason.
UNCOMPARABLE = {
    "file_row_index": "means something over files only; the tests of storage call it",
    "input_file_name": "would tell a path: refused",
    "union_extract": "takes a union, of which SQL can make none and Parquet hold none",
    "union_tag": "as union_extract",
}


def functions_of_engine(kind: str = "%") -> set[str]:
    """Return the names of all scalar, aggregate and window functions, or of one kind."""
    session = SessionContext(SessionConfig().with_information_schema(enabled=True))
    rows = session.sql(
        "select distinct routine_name from information_schema.routines "
        f"where function_type like '{kind}'"
    ).to_pylist()
    return {row["routine_name"] for row in rows}


def functions_of_tree(tree: exp.Expr) -> set[str]:
    """Return the functions that a statement calls, in lower case; words that stand for some too."""
    calls = tree.find_all(exp.Func)
    return {
        (call.name if isinstance(call, exp.Anonymous) else call.sql_name()).lower()
        for call in calls
    }
