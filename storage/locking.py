"""Locks on files and folders, which end with the process that holds them, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, *, to_write: bool = False) -> Iterator[bool]:
    """Hold a lock on a file or folder if nobody else does; says whether it is held.

    It counts between processes, and between threads of one. One whose path was removed or
    replaced before it was locked is not held.

    Args:
        path: The file or folder.
        to_write: Whether to open it for writing: on network file systems a lock that nobody
            shares takes that, and it takes a file.
    """
    try:
        descriptor = os.open(path, os.O_RDWR if to_write else os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        yield _lock(descriptor) and _is_at(descriptor, path)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    held = os.fstat(descriptor)
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)
