"""What is neither a query nor an administrative statement: which refusal it gets."""

from sqlglot.tokenizer_core import Token, TokenType

from planner.dialect import QUOTED, is_adjacent, is_word, place_at, shown, source_of
from planner.errors import (
    CrossClusterReadOnlyError,
    MultiClusterQueryError,
    PlannerError,
    SqlSyntaxError,
    StatementNotSupportedError,
)
from planner.statement import Defaults, LiveQuery, Query
from storage.names import SYSTEM_CATALOG, ObjectName, split_cluster

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
_AT_HOME = (
    "tables are made with CREATE TABLE and flight-member load, and written with INSERT, UPDATE and "
    "DELETE"
)
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
    "CANCEL": "write CANCEL JOB and its id in quotes, as SHOW JOBS tells it",
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
    word = " ".join(source_of(sql, first).upper().split())
    second = tokens[1].text.upper() if len(tokens) > 1 else ""
    if word in _WRITES and second not in _OBJECTS:
        cluster = written_cluster(tokens, defaults)
        if cluster == home:
            return StatementNotSupportedError(
                f"{place}: {f'{word} {shown(second)}'.rstrip()} is not done; {_AT_HOME}"
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


def refuse_explained(sql: str, tokens: list[Token], defaults: Defaults, home: str) -> None:
    """Refuse to explain what writes at home: only what it reads has a plan.

    Raises:
        StatementNotSupportedError: When the statement after EXPLAIN is such a write.
    """
    word = source_of(sql, tokens[0]).upper()
    if word.split(" ")[0] in _WRITES and written_cluster(tokens, defaults) == home:
        raise StatementNotSupportedError(
            f"{place_at(sql, tokens[0].start)}: {word} is not explained; write EXPLAIN before the "
            "SELECT that it reads with"
        )


def refuse_reading_elsewhere(
    sql: str, token: Token, table: ObjectName, query: Query | LiveQuery
) -> PlannerError:
    """Make the refusal of a write that would keep rows of another cluster, or of live tables.

    Args:
        sql: The text as it was typed.
        token: Where its query starts.
        table: What it would write to.
        query: What it would read.
    """
    place = place_at(sql, token.start)
    read = query.query if isinstance(query, LiveQuery) else query
    name = next(iter(read.tables), read.cluster)
    return MultiClusterQueryError(
        f"{place}: {table} would be written with rows of {name}, and one statement stays in one "
        "cluster; fetch them with a query of their own, and ingest them here (ADBC: adbc_ingest)"
    )


def written_cluster(tokens: list[Token], defaults: Defaults) -> str:
    """Return the cluster that the target of a write lies in."""
    if _written_catalog(tokens) == SYSTEM_CATALOG and defaults.mom is not None:
        return defaults.mom
    return _named_cluster(tokens) or defaults.cluster.lower()


def _named_cluster(tokens: list[Token]) -> str | None:
    """Return the cluster that the target of a write is written with, if it is."""
    target = _target(tokens)
    for token, following in zip(target, [*target[1:], None], strict=False):
        if token.token_type in QUOTED and "@" in token.text:
            return (split_cluster(token.text)[1] or "").lower()
        if token.token_type is TokenType.PARAMETER and token.text == "@" and following is not None:
            return following.text.lower()
        is_part = is_word(token) or token.token_type in QUOTED or token.text == "."
        if not is_part or following is None or not is_adjacent(token, following):
            return None
    return None


def _written_catalog(tokens: list[Token]) -> str | None:
    """Return the catalog that the target of a write is written with, if it has all its parts."""
    target = [token.text.lower() for token in _target(tokens)[:5]]
    return target[0] if len(target) == 5 and target[1::2] == [".", "."] else None  # noqa: PLR2004  a.b.c


def _target(tokens: list[Token]) -> list[Token]:
    """Return the tokens from the name of what is written on."""
    position = 1
    while position < len(tokens) and tokens[position].text.upper() in _BEFORE_NAME:
        position += 1
    return tokens[position:]
