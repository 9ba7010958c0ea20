"""Files that hold private keys: written whole and for their owner only, refused when wider.

The only modules of this package that touch a disk are this one and those that call it to save and
load; everything else is given keys as values.
"""

import os
import secrets
import stat
from pathlib import Path

from auth.errors import KeyFileError

_PRIVATE = 0o600
_MAX_BYTES = 65_536


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read (0600), atomically and durably.

    Raises:
        KeyFileError: When it cannot be written; what was there before stays.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _PRIVATE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), _PRIVATE)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except OSError as fault:
        reason = fault.strerror
    else:
        return
    raise KeyFileError(f"{path.name} cannot be written: {reason}")


def read_private(path: Path) -> bytes:
    """Return the content of a private file.

    Raises:
        KeyFileError: When it is missing, not a plain file, too large, or readable or writable by
            anybody but its owner.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            _check_status(path.name, status)
            return file.read(_MAX_BYTES)
    except OSError as fault:
        reason = fault.strerror
    raise KeyFileError(f"{path.name} cannot be read: {reason}")


def _check_status(name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"{name} is not a plain file")
    mode = stat.S_IMODE(status.st_mode)
    if mode & ~_PRIVATE:
        raise KeyFileError(
            f"{name} is open to other users (mode {mode:04o}): run chmod 600 on it, and consider "
            "the key as known to them"
        )
    if status.st_size > _MAX_BYTES:
        raise KeyFileError(f"{name} is too large to be a key")


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
