"""The refusals of this package.

    PlannerError
    ├── SqlSyntaxError            sql-syntax               INVALID_ARGUMENT
    ├── OneStatementOnlyError     one-statement-only       INVALID_ARGUMENT
    ├── StatementTooLargeError    statement-too-large      INVALID_ARGUMENT
    ├── SplittableError
    │   ├── MultiClusterQueryError multi-cluster-query     INVALID_ARGUMENT
    │   └── JoinNotSupportedError join-not-supported       INVALID_ARGUMENT
    ├── UnknownColumnError        unknown-column           INVALID_ARGUMENT
    ├── TypeMismatchError         type-mismatch            INVALID_ARGUMENT
    ├── CrossClusterReadOnlyError cross-cluster-read-only  UNIMPLEMENTED
    ├── StatementNotSupportedError statement-not-supported UNIMPLEMENTED
    └── NotFoundError             not-found                NOT_FOUND

Texts are safe for clients: they hold names and positions of the statement itself, limits, and what
to do instead; never a library's text.
"""

from collections.abc import Sequence
from typing import ClassVar

from storage.names import ObjectName

_MOST_BYTES = 1_200  # of more, clients get the beginning only


class PlannerError(Exception):
    """A statement is refused."""

    code: ClassVar[str] = "internal"
    status: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class SqlSyntaxError(PlannerError):
    """The text does not parse, or says something that SQL does not allow."""

    code = "sql-syntax"
    status = "INVALID_ARGUMENT"


class OneStatementOnlyError(PlannerError):
    """The text holds more than one statement."""

    code = "one-statement-only"
    status = "INVALID_ARGUMENT"


class StatementTooLargeError(PlannerError):
    """The text is too long, or too deeply nested."""

    code = "statement-too-large"
    status = "INVALID_ARGUMENT"


class SplittableError(PlannerError):
    """A statement that can be asked in parts.

    Attributes:
        tables: The tables that it names, in full; empty when some name is not complete. Whoever
            may read all of them can be shown the parts (see `planner.split`).
    """

    tables: tuple[ObjectName, ...] = ()

    def followed_by(self, advice: str) -> "SplittableError":
        """Return this refusal with more advice at its end, as it is if that made it too long."""
        more = type(self)(self.text + advice)
        if len(str(more).encode()) > _MOST_BYTES:
            return self
        more.tables = self.tables
        return more


class MultiClusterQueryError(SplittableError):
    """One statement names tables of two or more clusters."""

    code = "multi-cluster-query"
    status = "INVALID_ARGUMENT"


class JoinNotSupportedError(SplittableError):
    """The statement is written with a join, or its plan holds one."""

    code = "join-not-supported"
    status = "INVALID_ARGUMENT"


class UnknownColumnError(PlannerError):
    """A column is not there, or more than one could be meant."""

    code = "unknown-column"
    status = "INVALID_ARGUMENT"


class TypeMismatchError(PlannerError):
    """Types or arguments do not fit."""

    code = "type-mismatch"
    status = "INVALID_ARGUMENT"


class CrossClusterReadOnlyError(PlannerError):
    """A statement would write to another cluster."""

    code = "cross-cluster-read-only"
    status = "UNIMPLEMENTED"


class StatementNotSupportedError(PlannerError):
    """The statement is none of those that are answered."""

    code = "statement-not-supported"
    status = "UNIMPLEMENTED"


class NotFoundError(PlannerError):
    """A name leads to no table: it is not complete, or there is none that may be read."""

    code = "not-found"
    status = "NOT_FOUND"


def not_found_text(
    name: object, elsewhere: Sequence[object] = (), privilege: str = "TABLE_READ"
) -> str:
    """Return the one text about an object that is not there or may not be read.

    Args:
        name: What was asked for.
        elsewhere: Objects of that name that the caller may read; they are suggested.
        privilege: What an administrator would grant on it.
    """
    meant = f"did you mean {' or '.join(map(str, elsewhere))}? " if elsewhere else ""
    return (
        f"{name} does not exist, or you may not read it; {meant}SHOW TABLES lists what you "
        f"may read, and an administrator can grant {privilege} on it"
    )
