import pytest

from auth import ExpiredTokenError, InvalidTokenError, PendingSignIns, is_pending, kind_of
from tests.auth.factories import NOW, later


def test_what_was_typed_comes_back_and_cannot_be_read_by_others() -> None:
    pending = PendingSignIns()
    text = pending.seal("user1@shanghai", "päss:word", NOW)
    assert is_pending(text)
    assert kind_of(text) is None
    assert "user1" not in text
    assert pending.open(text, later(59)) == ("user1@shanghai", "päss:word")
    with pytest.raises(InvalidTokenError):
        PendingSignIns().open(text, NOW)


def test_it_must_be_used_within_a_minute() -> None:
    pending = PendingSignIns()
    text = pending.seal("user1", "x", NOW)
    with pytest.raises(ExpiredTokenError):
        pending.open(text, later(60))


def test_every_changed_character_is_refused() -> None:
    pending = PendingSignIns()
    text = pending.seal("user1", "x", NOW)
    start = len("fm-pending.")
    for position in range(start, len(text)):
        other = "A" if text[position] != "A" else "B"
        with pytest.raises(InvalidTokenError):
            pending.open(text[:position] + other + text[position + 1 :], NOW)
    for wrong in ("fm-pending.", "fm-pending.AAAA", "fm-pending." + "A" * 9_000, "fm-pending.é"):
        with pytest.raises(InvalidTokenError):
            pending.open(wrong, NOW)


def test_what_it_became_is_remembered_for_a_bounded_number() -> None:
    pending = PendingSignIns()
    first = pending.seal("user1", "x", NOW)
    assert pending.proved(first) is None
    pending.keep(first, "token", "10.0.0.1")
    proved = pending.proved(first)
    assert proved is not None
    assert (proved.token, proved.source) == ("token", "10.0.0.1")
    for number in range(10_000):
        pending.keep(f"fm-pending.{number}", "token", "10.0.0.1")
    assert pending.proved(first) is None
