"""Turns what the engine says into this package's errors; its own words go to the log alone.

The engine has no classes for its faults, only texts that begin with a kind. They name columns of
tables, values of rows and paths, so that nothing of them is ever passed on.
"""

import logging
from collections.abc import Sequence

from storage.errors import (
    EngineFaultError,
    MemoryLimitError,
    StaleMetastoreError,
    StatementRefusedError,
    StorageError,
    StoreUnavailableError,
    TypeMismatchError,
    UnknownTableError,
)
from storage.metastore import Table, TableKind
from storage.objectstore import DISK_ALONE, ObjectStores

_log = logging.getLogger(__name__)

_DATE_PARTS = "there is no such part of a date; write 'year', 'month', 'day', 'hour' or 'minute'"
# What the engine's texts hold, in lower case, and what is wrong then; the first that fits counts.
_FAULTS: tuple[tuple[str, type[StorageError], str], ...] = (
    (
        "resources exhausted",
        MemoryLimitError,
        "the statement needs more memory than it may take; filter or aggregate more, or sort less",
    ),
    ("ddl not supported", StatementRefusedError, "only queries are executed here"),
    ("dml not supported", StatementRefusedError, "only queries are executed here"),
    ("statement not supported", StatementRefusedError, "only queries are executed here"),
    ("unless information_schema", StatementRefusedError, "only queries are executed here"),
    ("no sql statement", StatementRefusedError, "there is no statement"),
    (
        "unsupported cast",
        TypeMismatchError,
        "a value cannot be cast to that type; cast to another type first, such as BIGINT",
    ),
    (
        "unsupported try_cast",
        TypeMismatchError,
        "a value cannot be cast to that type; cast to another type first, such as BIGINT",
    ),
    (
        "count distinct with",
        StatementRefusedError,
        "count(DISTINCT …) takes one argument; count the rows of a SELECT DISTINCT in FROM",
    ),
    (
        "does not support logical expression",
        StatementRefusedError,
        "a subquery cannot be planned where it stands; join the tables instead",
    ),
    (
        "feature is not implemented",
        StatementRefusedError,
        "the statement uses a construct that is not supported; write it in simpler ones",
    ),
    ("sql error", StatementRefusedError, "only single queries are executed here"),
    (
        "planning: table '",
        UnknownTableError,
        "the statement names a table that it may not read",
    ),
    ("no such file", StaleMetastoreError, "a file of the table is gone; execute it again"),
    ("object at location", StaleMetastoreError, "a file of the table is gone; execute it again"),
    ("divide by zero", TypeMismatchError, "a division by zero; use nullif(divisor, 0)"),
    ("dividebyzero", TypeMismatchError, "a division by zero; use nullif(divisor, 0)"),
    ("overflow", TypeMismatchError, "a value is out of range; cast to a wider type first"),
    (
        "more than one row",
        TypeMismatchError,
        "a subquery used as a value returned more than one row; add limit 1 or an aggregate",
    ),
    (
        "nth value indices",
        TypeMismatchError,
        "elements are counted from 1; write [1] for the first",
    ),
    (
        "percentile value must",
        TypeMismatchError,
        "a percentile lies between 0 and 1; write 0.5 for the median",
    ),
    (
        "expressions must appear in argument list",
        TypeMismatchError,
        "an aggregate with DISTINCT can be ordered only by what it takes; leave out ORDER BY",
    ),
    ("date part", TypeMismatchError, _DATE_PARTS),
    ("date_trunc granularity", TypeMismatchError, _DATE_PARTS),
    ("regex", TypeMismatchError, "a regular expression cannot be read; check its brackets"),
    ("cast", TypeMismatchError, "a value cannot be cast to the type asked for; use try_cast"),
    (
        "parser error",
        TypeMismatchError,
        "a value cannot be read as the type asked for; use try_cast",
    ),
    ("arrow error", TypeMismatchError, "a value does not fit the expression that it is used in"),
    ("execution error", TypeMismatchError, "a value does not fit the function it is given to"),
    ("during planning", TypeMismatchError, "an argument does not fit the function it is given to"),
    ("schema error", TypeMismatchError, "the statement names a column that is not there"),
)

_FILE_FAULTS = ("parquet error", "parquet argument error")
_STORE_FAULT = "generic s3 error"
_CONDITION = "evaluating filter predicate"


def to_storage_error(
    error: BaseException, tables: Sequence[Table], stores: ObjectStores = DISK_ALONE
) -> StorageError:
    """Return the error to raise for a fault of the engine.

    Args:
        error: What the engine raised; an error of this package is returned as it is.
        tables: The tables of the statement, whose files may have changed.
        stores: Where the files may lie.
    """
    if isinstance(error, StorageError):
        return error
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        raise error
    words = str(error)
    _log.info("engine_refused", extra={"engine_text": words})
    said = words.lower()
    if _STORE_FAULT in said and stores.has_remote(tables):
        return StoreUnavailableError(
            "the object store of a table does not answer; execute the statement again later"
        )
    # A condition is evaluated while files are read; its fault is told as if it were the file's.
    is_about_files = any(part in said for part in _FILE_FAULTS) and _CONDITION not in said
    for part, kind, text in _FAULTS:
        if part in said and (not is_about_files or kind is StaleMetastoreError):
            return kind(text)
    if not all(is_current(table, stores) for table in tables):
        return StaleMetastoreError("a file of a table has changed; execute it again")
    return EngineFaultError("the engine failed; the operator finds the reason by the call's id")


def is_current(table: Table, stores: ObjectStores) -> bool:
    """Whether a table's files are those of its snapshot; none of them is opened."""
    if table.kind is TableKind.MANAGED:
        # Nobody changes the files of a version.
        return True
    return stores.is_current(str(table.location), table.snapshot)
