"""Administrative statements, by a small parser of our own over the tokens.

GRANT | DENY privilege ON securable, … TO principal, … [UNTIL 'time']
REVOKE privilege ON securable, … FROM principal, …
grant("principal", privilege, "securable" [, 'time'])      -- also deny(…), revoke(…)
USE name                                                   -- see `use`
CREATE GROUP group                                         -- the federation's, or group@cluster
ALTER GROUP group ADD | REMOVE user, …
DROP GROUP group
CREATE USER user …                                         -- see `users`
EXPLAIN ACCESS OF principal TO table
CANCEL JOB 'id'

SHOW and DESCRIBE are read by `show`.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TypeVar

from sqlglot.tokenizer_core import Token

from planner.cursor import Cursor
from planner.errors import SqlSyntaxError, StatementNotSupportedError
from planner.show import parse_describe, parse_show
from planner.statement import (
    CancelJob,
    Defaults,
    ExplainAccess,
    GrantStatement,
    GroupStatement,
    Statement,
)
from planner.use import parse_use
from planner.users import parse_user
from storage.names import Level, ObjectName

_ACTIONS: dict[str, Literal["ALLOW", "DENY", "REVOKE"]] = {
    "GRANT": "ALLOW",
    "DENY": "DENY",
    "REVOKE": "REVOKE",
}
_LEVELS: dict[str, tuple[Level, ...]] = {
    "TABLE_READ": (Level.TABLE,),
    "SCHEMA_READ": (Level.SCHEMA,),
    "CATALOG_READ": (Level.CATALOG, Level.CLUSTER),
    "TABLE_WRITE": (Level.TABLE,),
    "SCHEMA_WRITE": (Level.SCHEMA,),
    "SCHEMA_USAGE": (Level.SCHEMA,),
    "CATALOG_WRITE": (Level.CATALOG, Level.CLUSTER),
}
_EXAMPLES = {
    Level.TABLE: "trading.stock.quote@hangzhou",
    Level.SCHEMA: "trading.stock@hangzhou",
    Level.CATALOG: "trading@hangzhou or *@hangzhou",
}
_JOB_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_HEADS = frozenset({"CREATE", "ALTER", "DROP"})

Read = TypeVar("Read")


def parse_administration(  # noqa: PLR0911  one line per statement
    sql: str, tokens: list[Token], defaults: Defaults
) -> Statement | None:
    """Read an administrative statement; None when the text is not one.

    Raises:
        SqlSyntaxError: When it cannot be read, or a privilege and its securable do not fit.
        StatementNotSupportedError: When it is none that is answered.
    """
    cursor = Cursor(sql, tokens, defaults)
    head = cursor.peek_word()
    if head in _ACTIONS:
        cursor.next()
        return _call(cursor, head) if cursor.take("(") else _grant(cursor, head)
    if head in _HEADS and cursor.peek_word(1) in {"GROUP", "USER"}:
        return _group(cursor) if cursor.peek_word(1) == "GROUP" else parse_user(cursor)
    if head in {"SHOW", "USE"}:
        cursor.next()
        return _end(cursor, parse_show(cursor)) if head == "SHOW" else parse_use(cursor, defaults)
    if head in {"DESCRIBE", "DESC"}:
        cursor.next()
        return _end(cursor, parse_describe(cursor))
    if head == "CANCEL" and cursor.peek_word(1) == "JOB":
        return _cancel(cursor)
    if head == "EXPLAIN":
        cursor.next()
        cursor.expect("ACCESS")
        cursor.expect("OF")
        principal = cursor.principal()
        cursor.expect("TO")
        return _end(cursor, ExplainAccess(principal, cursor.table_name()))
    return None


def _end(cursor: Cursor, statement: Statement) -> Statement:
    cursor.expect_end()
    return statement


def _grant(cursor: Cursor, head: str) -> Statement:
    """Read what follows GRANT, DENY or REVOKE."""
    privilege = _privilege(cursor)
    cursor.expect("ON")
    securables = _several(cursor, lambda: _securable(cursor, privilege))
    cursor.expect("FROM" if head == "REVOKE" else "TO")
    principals = _several(cursor, lambda: cursor.principal(visitors=head != "GRANT"))
    until = None
    if head != "REVOKE" and cursor.take("UNTIL"):
        until = _time(cursor)
    return _end(cursor, GrantStatement(_ACTIONS[head], privilege, securables, principals, until))


def _call(cursor: Cursor, head: str) -> Statement:
    """Read the function form, after its opening parenthesis."""
    principal = cursor.principal(visitors=head != "GRANT")
    cursor.expect(",")
    privilege = _privilege(cursor)
    cursor.expect(",")
    securable = _securable(cursor, privilege)
    until = None
    if head != "REVOKE" and cursor.take(","):
        until = _time(cursor)
    cursor.expect(")")
    return _end(
        cursor, GrantStatement(_ACTIONS[head], privilege, (securable,), (principal,), until)
    )


def _group(cursor: Cursor) -> Statement:
    """Read CREATE, ALTER or DROP GROUP."""
    head = cursor.next().text.upper()
    cursor.next()
    group, cluster = cursor.group_name()
    if head != "ALTER":
        action: Literal["CREATE", "DROP"] = "CREATE" if head == "CREATE" else "DROP"
        return _end(cursor, GroupStatement(action, group, cluster=cluster))
    if not (is_added := cursor.take("ADD")) and not cursor.take("REMOVE"):
        raise cursor.fault("ADD or REMOVE")
    members = _several(cursor, cursor.user)
    return _end(cursor, GroupStatement("ADD" if is_added else "REMOVE", group, members, cluster))


def _cancel(cursor: Cursor) -> Statement:
    """Read CANCEL JOB."""
    cursor.next()
    cursor.next()
    place = cursor.place()
    job_id = cursor.text("a job's id in quotes, as SHOW JOBS tells it")
    if not _JOB_ID.fullmatch(job_id):
        raise SqlSyntaxError(f"{place}: no job has such an id; SHOW JOBS tells them")
    return _end(cursor, CancelJob(job_id))


def _several(cursor: Cursor, read: Callable[[], Read]) -> tuple[Read, ...]:
    found = [read()]
    while cursor.take(","):
        found.append(read())
    return tuple(dict.fromkeys(found))


def _privilege(cursor: Cursor) -> str:
    place = cursor.place()
    word = cursor.word_or_text("a privilege").upper()
    if word not in _LEVELS:
        raise StatementNotSupportedError(
            f"{place}: {word[:63]!r} cannot be granted; the privileges are {', '.join(_LEVELS)}"
        )
    return word


def _securable(cursor: Cursor, privilege: str) -> ObjectName:
    place = cursor.place()
    name = cursor.object_name()
    if name.level not in _LEVELS[privilege]:
        raise SqlSyntaxError(
            f"{place}: {privilege} is granted on a {_LEVELS[privilege][0].value}, and {name} is a "
            f"{name.level.value}; write it as {_EXAMPLES[_LEVELS[privilege][0]]}"
        )
    return name


def _time(cursor: Cursor) -> datetime:
    """Read a time: ISO 8601 with its offset, as UTC."""
    place = cursor.place()
    text = cursor.text("a time, as in '2027-01-01T00:00:00Z'")
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise SqlSyntaxError(
            f"{place}: {text[:40]!r} is not a time with its offset; write it as "
            "'2027-01-01T00:00:00Z'"
        )
    try:
        return time.astimezone(UTC)
    except OverflowError:
        pass
    raise SqlSyntaxError(f"{place}: {text[:40]!r} is beyond the calendar; write a nearer time")
