"""Passwords in statements: made hashes of before anything keeps, logs or forwards the statement.

From here on the statement's text holds the hash, its parameter is gone, and the value that was
bound is forgotten.
"""

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa

from flight_member.errors import BadRequestError
from planner import Statement, UserStatement, count_fault

PASSWORD_PARAMETERS = pa.schema([pa.field("1", pa.utf8())])
"""The one parameter of a statement whose password is bound."""


def takes_password(statement: Statement) -> bool:
    """Whether a password is to be bound to a statement."""
    if not isinstance(statement, UserStatement) or statement.password is None:
        return False
    return statement.password.kind == "parameter"


def conceal(
    statement: Statement,
    sql: str,
    values: pa.RecordBatch | None,
    hash_password: Callable[[str], str],
) -> tuple[Statement, str, pa.RecordBatch | None]:
    """Return a statement, its text and its values without any password.

    Others than those on users are returned as they are, and so is one that waits for its password.

    Args:
        statement: What was read.
        sql: Its text.
        values: What is bound to it.
        hash_password: Makes a hash of a password.

    Raises:
        BadRequestError: When something else than one text is bound to it.
    """
    if not isinstance(statement, UserStatement) or statement.password is None:
        return statement, sql, values
    password = statement.password
    if password.kind == "hash" or (password.kind == "parameter" and values is None):
        return statement, sql, values
    text = password.text if password.kind == "text" else _bound_text(values)
    hashed = hash_password(text)
    kept = replace(password, kind="hash", text=hashed)
    return replace(statement, password=kept), password.concealed(sql, hashed), None


def _bound_text(values: pa.RecordBatch | None) -> str:
    if values is None or values.num_columns != 1 or values.num_rows != 1:
        raise BadRequestError(count_fault(("1",), 0 if values is None else values.num_columns))
    value = values.column(0)[0].as_py()
    if not isinstance(value, str):
        raise BadRequestError("a password is a text; bind one")
    return value
