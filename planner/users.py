"""Statements on a cluster's own users and groups, read from their tokens.

CREATE USER user [PASSWORD password] [IN GROUP group, …] [ADMIN]
ALTER USER user PASSWORD password | LOCK | UNLOCK | ADMIN | NO ADMIN
ALTER USER user ADD | REMOVE GROUP group, …
DROP USER user

A password is a text in quotes, a parameter (`?` or `$1`), or HASH and what Argon2id made of one.
Groups are the user's own cluster's, with it or without.
"""

from sqlglot.tokenizer_core import TokenType

from planner.cursor import Cursor
from planner.dialect import STRINGS
from planner.errors import SqlSyntaxError
from planner.passwords import Password, unreadable
from planner.statement import UserStatement

_CHANGES = "PASSWORD, LOCK, UNLOCK, ADMIN, NO ADMIN, ADD GROUP or REMOVE GROUP"


def parse_user(cursor: Cursor) -> UserStatement:
    """Read CREATE, ALTER or DROP USER to its end.

    Raises:
        SqlSyntaxError: When it cannot be read.
    """
    head = cursor.next().text.upper()
    cursor.expect("USER")
    user = cursor.user()
    if head == "DROP":
        statement = UserStatement("DROP", user)
    elif head == "ALTER":
        statement = _alter(cursor, user)
    else:
        statement = _create(cursor, user)
    cursor.expect_end()
    return statement


def _create(cursor: Cursor, user: str) -> UserStatement:
    password = _password(cursor) if cursor.take("PASSWORD") else None
    groups: tuple[str, ...] = ()
    if cursor.take("IN"):
        cursor.expect("GROUP")
        groups = _groups(cursor, user)
    return UserStatement("CREATE", user, password, groups, is_admin=cursor.take("ADMIN"))


def _alter(cursor: Cursor, user: str) -> UserStatement:
    if cursor.take("PASSWORD"):
        return UserStatement("PASSWORD", user, _password(cursor))
    if cursor.take("LOCK"):
        return UserStatement("LOCK", user)
    if cursor.take("UNLOCK"):
        return UserStatement("UNLOCK", user)
    if cursor.take("ADMIN"):
        return UserStatement("ADMIN", user, is_admin=True)
    if cursor.take("NO"):
        cursor.expect("ADMIN")
        return UserStatement("ADMIN", user, is_admin=False)
    is_added = cursor.take("ADD")
    if not is_added and not cursor.take("REMOVE"):
        raise cursor.fault(_CHANGES)
    cursor.expect("GROUP")
    return UserStatement("ADD" if is_added else "REMOVE", user, groups=_groups(cursor, user))


def _groups(cursor: Cursor, user: str) -> tuple[str, ...]:
    """Read groups of a user's own cluster, as they are called there."""
    home = user.rpartition("@")[2]
    found: list[str] = []
    while True:
        place = cursor.place()
        name, cluster = cursor.group_name()
        if cluster not in {None, home}:
            raise SqlSyntaxError(
                f"{place}: {name}@{cluster} is a group of another cluster than {user}; name "
                f"groups of {home}"
            )
        found.append(name)
        if not cursor.take(","):
            return tuple(dict.fromkeys(found))


def _password(cursor: Cursor) -> Password:
    token = cursor.peek()
    if token is None:
        raise unreadable()
    if token.token_type is TokenType.PLACEHOLDER:
        cursor.next()
        return Password("parameter", "", token.start, token.end + 1)
    if token.token_type is TokenType.PARAMETER:
        written = cursor.next()
        if not cursor.peek_word():
            raise unreadable()
        number = cursor.next()
        return Password("parameter", "", written.start, number.end + 1)
    is_hash = cursor.take("HASH")
    given = cursor.peek()
    if given is None or given.token_type not in STRINGS:
        raise unreadable()
    cursor.next()
    return Password("hash" if is_hash else "text", str(given.text), token.start, given.end + 1)
