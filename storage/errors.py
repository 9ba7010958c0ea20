"""What storage can refuse, as one tree.

StorageError
├── UnusableTableError     unusable-table       INVALID_ARGUMENT
├── StoreUnavailableError  store-unavailable    UNAVAILABLE, retryable
├── TableExistsError       already-exists       INVALID_ARGUMENT
├── PlaceExistsError       already-exists       INVALID_ARGUMENT
├── UnknownTableError      not-found            NOT_FOUND
├── UnknownPlaceError      not-found            NOT_FOUND
├── StaleMetastoreError    stale-metastore      UNAVAILABLE, retryable
├── WriteConflictError     write-conflict       UNAVAILABLE, retryable
├── DiskFullError          disk-full            UNAVAILABLE, retryable
├── MemoryLimitError       memory-limit         INVALID_ARGUMENT
├── StatementRefusedError  statement-not-supported  UNIMPLEMENTED
├── TypeMismatchError      type-mismatch        INVALID_ARGUMENT
├── CancelledError         cancelled            CANCELLED
└── EngineFaultError       internal             INTERNAL

Texts are safe for clients: names, limits and base names of files; never a path or an engine's text.
"""

from typing import ClassVar


class StorageError(Exception):
    """Root of this package's refusals; the text starts with the code."""

    code: ClassVar[str] = "internal"
    status: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"{self.code}: {text}")


class UnusableTableError(StorageError):
    """A directory or file cannot be a table: foreign files, mixed schemas, a forbidden place."""

    code, status = "unusable-table", "INVALID_ARGUMENT"


class StoreUnavailableError(StorageError):
    """The object store of a table does not answer; nothing is wrong with the table itself."""

    code, status, retryable = "store-unavailable", "UNAVAILABLE", True


def unusable_view(name: object) -> UnusableTableError:
    """Return the one refusal of a view that cannot be read, whatever it is made of."""
    return UnusableTableError(
        f"{name} is a view that cannot be read any more: what it is made of is gone or has "
        "changed, or its owner may not read all of it; ask its owner or an administrator"
    )


class TableExistsError(StorageError):
    """There is a table of that name already."""

    code, status = "already-exists", "INVALID_ARGUMENT"


class PlaceExistsError(StorageError):
    """There is a catalog or schema of that name already."""

    code, status = "already-exists", "INVALID_ARGUMENT"


class UnknownTableError(StorageError):
    """There is no table of that name."""

    code, status = "not-found", "NOT_FOUND"


class UnknownPlaceError(StorageError):
    """There is no catalog or schema of that name."""

    code, status = "not-found", "NOT_FOUND"


class StaleMetastoreError(StorageError):
    """A file that belongs to the table's snapshot is gone or another by now."""

    code, status, retryable = "stale-metastore", "UNAVAILABLE", True


class WriteConflictError(StorageError):
    """Another statement changed the same rows or columns in the meantime; nothing was written."""

    code, status, retryable = "write-conflict", "UNAVAILABLE", True


class DiskFullError(StorageError):
    """There was no room for what was to be written; nothing of it is there."""

    code, status, retryable = "disk-full", "UNAVAILABLE", True


class MemoryLimitError(StorageError):
    """A statement needed more memory than the engine may take."""

    code, status = "memory-limit", "INVALID_ARGUMENT"


class StatementRefusedError(StorageError):
    """A text is anything but one query."""

    code, status = "statement-not-supported", "UNIMPLEMENTED"


class TypeMismatchError(StorageError):
    """A value did not fit an expression: a cast, a division, an overflow."""

    code, status = "type-mismatch", "INVALID_ARGUMENT"


class CancelledError(StorageError):
    """Nobody waits for the rows any more."""

    code, status = "cancelled", "CANCELLED"


class EngineFaultError(StorageError):
    """The engine failed in a way that is ours to explain; the detail is in the log."""

    code, status = "internal", "INTERNAL"
