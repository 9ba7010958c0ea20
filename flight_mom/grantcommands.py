"""The statements on grants and groups that `flight-mom grant`, `group` and the others send.

What was typed becomes part of a statement only after it has been read as what it should be: an
argument can name one thing and say nothing else.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from auth import AuthError, Principal, Privilege, fold_principal
from flight_member.errors import ConfigurationError
from storage.names import InvalidNameError, Level, ObjectName

T = TypeVar("T")


def change_statement(
    action: str, privilege: str, securable: str, principal: str, until: str | None = None
) -> str:
    """Return GRANT, DENY or REVOKE.

    Args:
        action: `GRANT`, `DENY` or `REVOKE`.
        privilege: `TABLE_READ`, `SCHEMA_READ` or `CATALOG_READ`, in any case.
        securable: `catalog.schema.table@cluster`, or what is wider.
        principal: `user1@shanghai` or `GROUP analysts@shanghai`.
        until: When it ends by itself, in ISO 8601 with its offset; None: not at all.

    Raises:
        ConfigurationError: When an argument is not what it should be.
    """
    end = f" UNTIL '{_moment(until)}'" if until else ""
    towards = "FROM" if action == "REVOKE" else "TO"
    return (
        f"{action} {_read('privilege', privilege.upper(), Privilege)} ON {_securable(securable)} "
        f"{towards} {_principal(principal)}{end}"
    )


def show_grants_statement(principal: str | None, securable: str | None) -> str:
    """Return SHOW GRANTS, of a principal, on a securable, or all.

    Raises:
        ConfigurationError: When an argument is not what it should be, or there are both.
    """
    if principal and securable:
        raise ConfigurationError(["give --for or --on, not both"])
    if principal:
        return f"SHOW GRANTS FOR {_principal(principal)}"
    return f"SHOW GRANTS ON {_securable(securable)}" if securable else "SHOW GRANTS"


def explain_access_statement(principal: str, table: str) -> str:
    """Return EXPLAIN ACCESS.

    Raises:
        ConfigurationError: When an argument is not what it should be.
    """
    return f"EXPLAIN ACCESS OF {_principal(principal)} TO {_table(table)}"


def show_readers_statement(table: str) -> str:
    """Return SHOW READERS.

    Raises:
        ConfigurationError: When an argument is not what it should be.
    """
    return f"SHOW READERS OF {_table(table)}"


def show_readable_statement(user: str) -> str:
    """Return SHOW TABLES FOR.

    Raises:
        ConfigurationError: When an argument is not what it should be.
    """
    return f"SHOW TABLES FOR {_user(user)}"


def group_statement(action: str, group: str, users: Sequence[str] = ()) -> str:
    """Return CREATE, DROP or ALTER GROUP.

    Args:
        action: `CREATE`, `DROP`, `ADD` or `REMOVE`.
        group: One of the federation's own groups.
        users: `user1@shanghai`, for ADD and REMOVE.

    Raises:
        ConfigurationError: When an argument is not what it should be.
    """
    name = _read("group", group, fold_principal)
    if action in {"CREATE", "DROP"}:
        return f"{action} GROUP {name}"
    return f"ALTER GROUP {name} {action} {', '.join(str(_user(user)) for user in users)}"


def _principal(text: str) -> Principal:
    return _read("principal", text, Principal.parse)


def _user(text: str) -> Principal:
    principal = _principal(text)
    if principal.kind != "user":
        raise ConfigurationError([f"{text}: name a user, as user@cluster"])
    return principal


def _table(text: str) -> ObjectName:
    name = _securable(text)
    if name.level is not Level.TABLE:
        raise ConfigurationError([f"{text}: name a table, as catalog.schema.table@cluster"])
    return name


def _securable(text: str) -> ObjectName:
    return _read("securable", text, ObjectName.parse)


def _read(what: str, text: str, reader: Callable[[str], T]) -> T:
    try:
        return reader(text)
    except (InvalidNameError, AuthError, ValueError) as error:
        fault = error.text if isinstance(error, AuthError) else str(error)
    raise ConfigurationError([f"{what}: {fault}"])


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigurationError([f"--until {text}: write it as 2027-01-01T00:00:00Z"])
    return moment.isoformat()
