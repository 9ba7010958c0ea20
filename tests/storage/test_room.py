"""A full disk is told from everything else that a write can fail with."""

import errno

import pytest

from storage.errors import DiskFullError, UnusableTableError
from storage.room import is_full, unwritten


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_disk_that_is_full_is_told_by_its_number(number: int) -> None:
    error = OSError(number, "what the system says")
    assert is_full(error)
    assert isinstance(unwritten(error, "something else"), DiskFullError)


def test_library_that_hands_over_a_text_is_understood() -> None:
    assert is_full(ValueError("Generic LocalFileSystem error: No space left (os error 28)"))


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "no"), ValueError("(os error 2)")])
def test_anything_else_keeps_its_words(error: Exception) -> None:
    refusal = unwritten(error, "keep all of it on one disk")
    assert isinstance(refusal, UnusableTableError)
    assert refusal.text == "keep all of it on one disk"
