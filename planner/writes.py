"""What is neither a query nor an administrative statement: which refusal it gets."""

from sqlglot.tokenizer_core import Token, TokenType

from planner.dialect import QUOTED, is_adjacent, is_word, place_at, shown, source_of
from planner.errors import (
    CrossClusterReadOnlyError,
    PlannerError,
    SqlSyntaxError,
    StatementNotSupportedError,
)
from planner.statement import Defaults
from storage.names import split_cluster

_WRITES = frozenset(
    {"INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "CREATE", "DROP", "ALTER", "TRUNCATE",
     "REPLACE", "UPSERT", "COMMENT", "VACUUM", "OPTIMIZE", "REFRESH"}
)  # fmt: skip
_OBJECTS = frozenset({"GROUP", "USER", "ROLE", "NODE", "RESOURCE", "CLUSTER"})
_BEFORE_NAME = frozenset(
    {"INTO", "FROM", "TABLE", "VIEW", "EXTERNAL", "OR", "REPLACE", "IF", "NOT", "EXISTS", "SCHEMA",
     "CATALOG", "DATABASE", "INDEX", "TEMPORARY", "TEMP", "MATERIALIZED", "OVERWRITE", "ONLY",
     "UNBOUNDED", "ON", "COLUMN", "FUNCTION", "UNIQUE", "SEQUENCE", "TRIGGER", "ANALYZE"}
)  # fmt: skip
_SESSION = "choose catalog and schema with USE, or write names in full"
_OTHERS = {
    "SET": _SESSION,
    "RESET": _SESSION,
    "PREPARE": "prepare through the client's own call (Flight SQL, ADBC, JDBC), not as SQL text",
    "EXECUTE": "prepare through the client's own call (Flight SQL, ADBC, JDBC), not as SQL text",
    "DEALLOCATE": "close the prepared statement through the client's own call",
    "BEGIN": "each statement stands alone: leave transactions out",
    "START": "each statement stands alone: leave transactions out",
    "COMMIT": "each statement stands alone: leave transactions out",
    "ROLLBACK": "each statement stands alone: leave transactions out",
    "SAVEPOINT": "each statement stands alone: leave transactions out",
    "CANCEL": "close the cursor or the connection that asked: the statement stops with it",
}
_UNKNOWN = frozenset(
    {"CALL", "DO", "ATTACH", "DETACH", "LOAD", "INSTALL", "PRAGMA", "LOCK", "LISTEN", "NOTIFY",
     "ANALYZE", "EXPORT", "IMPORT", "UNLOAD", "KILL", "CACHE", "UNCACHE", "MSCK", "FETCH",
     "DECLARE", "CLOSE", "DISCARD", "CLUSTER", "REINDEX", "CHECKPOINT", "IF", "RENAME", "UNPIVOT",
     "PIVOT", "SUMMARIZE", "HELP"}
)  # fmt: skip


def refuse_other(
    sql: str, tokens: list[Token], defaults: Defaults, home: str | None
) -> PlannerError:
    """Make the refusal of a statement that is neither a query nor administrative.

    Args:
        sql: The text as it was typed.
        tokens: Its tokens.
        defaults: What completes names.
        home: The reader's own cluster, if any.

    Returns:
        What to raise.
    """
    first = tokens[0]
    place = place_at(sql, first.start)
    word = source_of(sql, first).upper()
    second = tokens[1].text.upper() if len(tokens) > 1 else ""
    if word in _WRITES and second not in _OBJECTS:
        cluster = _written_cluster(tokens) or defaults.cluster.lower()
        if cluster == home:
            return StatementNotSupportedError(
                f"{place}: {word} is not supported yet; load tables with the command "
                "`flight-member load`"
            )
        return CrossClusterReadOnlyError(
            f"{place}: {word} would write to {shown(cluster)}, and nothing is written across "
            f"clusters; ask {shown(cluster)} itself, as one of its users"
        )
    if word in _OTHERS:
        return StatementNotSupportedError(f"{place}: {word} is not answered; {_OTHERS[word]}")
    if word in _WRITES or word in _UNKNOWN:
        return StatementNotSupportedError(
            f"{place}: {f'{word} {shown(second)}'.rstrip()} is not answered"
            "; write a SELECT, SHOW TABLES or DESCRIBE"
        )
    return SqlSyntaxError(
        f"{place}: no statement starts with {shown(source_of(sql, first))!r}; write a SELECT, "
        "SHOW TABLES or DESCRIBE"
    )


def _written_cluster(tokens: list[Token]) -> str | None:
    """Return the cluster that the target of a write is written with, if it is."""
    position = 1
    while position < len(tokens) and tokens[position].text.upper() in _BEFORE_NAME:
        position += 1
    target = tokens[position:]
    for token, following in zip(target, [*target[1:], None], strict=False):
        if token.token_type in QUOTED and "@" in token.text:
            return (split_cluster(token.text)[1] or "").lower()
        if token.token_type is TokenType.PARAMETER and token.text == "@" and following is not None:
            return following.text.lower()
        is_part = is_word(token) or token.token_type in QUOTED or token.text == "."
        if not is_part or following is None or not is_adjacent(token, following):
            return None
    return None
