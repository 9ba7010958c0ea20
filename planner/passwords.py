"""Passwords inside statements: where they stand, and how a text is written without them.

A text with a password in it is never repeated: no refusal shows a piece of it, nothing keeps it,
and what has to be kept of the statement holds the password's hash instead.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

from planner.errors import SqlSyntaxError

_MAY_HOLD = re.compile(r"\b(?:create|alter)\s+user\b.*\bpassword\b", re.IGNORECASE | re.DOTALL)
_FORMS = (
    "CREATE USER user1 [PASSWORD 'text'] [IN GROUP analysts, …] [ADMIN], or ALTER USER user1 "
    "PASSWORD 'text'"
)


@dataclass(frozen=True, slots=True)
class Password:
    """A password as a statement gives it.

    Attributes:
        kind: Whether `text` is the password, its hash, or nothing because a value is bound to it.
        text: The password, or its hash.
        start: Where it starts in the statement.
        end: Where it ends; not included.
    """

    kind: Literal["text", "hash", "parameter"]
    text: str = field(repr=False)
    start: int
    end: int

    def concealed(self, sql: str, hashed: str) -> str:
        """Return the statement with the password's hash in its place."""
        return f"{sql[: self.start]}HASH '{hashed}'{sql[self.end :]}"


def may_hold_password(sql: str) -> bool:
    """Whether a text may give a password to a user, as far as one sees without reading it."""
    return "assword" in sql.lower() and _MAY_HOLD.search(sql) is not None


def unreadable() -> SqlSyntaxError:
    """Return the one refusal of a statement with a password that cannot be read."""
    return SqlSyntaxError(
        "the statement cannot be read, and because it holds a password it is not repeated here; "
        f"write {_FORMS}, and a quotation mark inside a text twice"
    )
