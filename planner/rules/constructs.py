"""A query only reads, and holds nothing that an engine would pass over in silence."""

from sqlglot import exp

from planner.dialect import is_word, place_at, read_tokens
from planner.errors import StatementNotSupportedError, StatementTooLargeError
from planner.nodes import Nodes
from planner.references import start_of

MAX_PARTS = 250

_WRITES = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.Copy,
    exp.Command,
    exp.Into,
)
_UNREAD: dict[type[exp.Expr], str] = {
    exp.Lock: "FOR UPDATE or SHARE locks nothing here; leave it out",
    exp.TableSample: "TABLESAMPLE is not supported; filter with random() < 0.1 instead",
    exp.Version: "tables are read as they are now; leave the version out",
    exp.Connect: "CONNECT BY is not supported; write WITH RECURSIVE",
    exp.MatchRecognize: "MATCH_RECOGNIZE is not supported; use window functions",
}
_WORDS: dict[type[exp.Expr], str] = {
    exp.Lock: "FOR",
    exp.TableSample: "TABLESAMPLE",
    exp.Connect: "CONNECT",
    exp.Into: "INTO",
}


def check_construct(sql: str, tree: exp.Expr, nodes: Nodes) -> None:
    """Refuse a statement that is no query, writes inside one, or holds what would be ignored.

    Raises:
        StatementNotSupportedError: When it does.
        StatementTooLargeError: When it has more than `MAX_PARTS` WITH parts.
    """
    for node in nodes:
        fault = None
        if isinstance(node, _WRITES):
            fault = "a query reads only; leave out what writes (INSERT, UPDATE, INTO …)"
        elif type(node) in _UNREAD:
            fault = _UNREAD[type(node)]
        elif isinstance(node, exp.Table) and (node.args.get("only") or node.args.get("rows_from")):
            fault = "ONLY and ROWS FROM are not supported; name the table alone"
        elif isinstance(node, exp.Table) and _is_file(sql, node):
            fault = "a string in FROM would name a file; ask for tables by name (see SHOW TABLES)"
        if fault is not None:
            raise StatementNotSupportedError(f"{_place(sql, node)}{fault}")
    if len(nodes.of(exp.CTE)) > MAX_PARTS:
        raise StatementTooLargeError(
            f"the statement has more than {MAX_PARTS} WITH parts; send several statements"
        )
    if not isinstance(tree, (exp.Query, exp.Values)):
        raise StatementNotSupportedError(
            f"{place_at(sql, start_of(tree))}: this statement is not answered; write a SELECT"
        )


def _is_file(sql: str, table: exp.Table) -> bool:
    """Whether a table is written as a string."""
    start = table.this.meta.get("start", -1) if isinstance(table.this, exp.Identifier) else -1
    return start >= 0 and sql[start] in "'$"


def _place(sql: str, node: exp.Expr) -> str:
    """Say where a node stands: its word, else the first of its pieces that knows its place."""
    word = _WORDS.get(type(node))
    starts = [
        token.start
        for token in (read_tokens(sql) if word else ())
        if is_word(token) and token.text.upper().startswith(str(word))
    ]
    start = starts[-1] if starts else start_of(node)
    return f"{place_at(sql, start)}: "
