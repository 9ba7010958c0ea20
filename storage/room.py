"""Whether it was for want of room that something could not be written."""

import errno

from storage.errors import DiskFullError, StorageError, UnusableTableError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# How deltalake tells it, which hands over a text alone.
_FULL_TEXTS = tuple(f"(os error {number})" for number in sorted(_FULL))


def is_full(error: Exception) -> bool:
    """Whether a failure to write says that there is no room."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return any(text in str(error) for text in _FULL_TEXTS)


def unwritten(error: Exception, otherwise: str) -> StorageError:
    """Return the refusal of what could not be written, without the system's words.

    Args:
        error: What the system, or a library, said.
        otherwise: Our words for it, when it was not for want of room.
    """
    if is_full(error):
        return DiskFullError(
            "there is no room on the disk that the table lies on; nothing of it was written: try "
            "again once the cluster's operator has made room"
        )
    return UnusableTableError(otherwise)
