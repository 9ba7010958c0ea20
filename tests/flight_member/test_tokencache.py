from datetime import datetime, timedelta

import pytest

from flight_member.tokencache import TokenCache
from tests.flight_member.factories import NOW


class Opener:
    """Counts how often it opens, and says when the token expires."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> datetime:
        self.count += 1
        return NOW + timedelta(seconds=60)


def make_cache() -> TokenCache[datetime]:
    return TokenCache(lambda expires_at: expires_at)


def test_token_is_opened_once_while_its_state_lasts() -> None:
    cache, opener, state = make_cache(), Opener(), (object(),)
    for _ in range(3):
        cache.open("t", state, NOW, opener)
    assert opener.count == 1


def test_another_state_forgets_everything() -> None:
    cache, opener = make_cache(), Opener()
    first, second = (object(),), (object(),)
    cache.open("t", first, NOW, opener)
    cache.open("t", second, NOW, opener)
    cache.open("t", first, NOW, opener)
    assert opener.count == 3


def test_expired_token_is_opened_again() -> None:
    cache, opener, state = make_cache(), Opener(), (object(),)
    cache.open("t", state, NOW, opener)
    cache.open("t", state, NOW + timedelta(seconds=60), opener)
    assert opener.count == 2


def test_refusal_is_not_remembered() -> None:
    cache, state = make_cache(), (object(),)

    def refuse() -> datetime:
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            cache.open("t", state, NOW, refuse)


def test_token_that_was_being_opened_when_the_state_changed_does_not_count_in_the_new_one() -> None:
    cache, opener = make_cache(), Opener()
    old, new = (object(),), (object(),)

    def open_slowly() -> datetime:
        # Meanwhile another thread has come with the new state.
        cache.open("other", new, NOW, opener)
        return NOW + timedelta(seconds=60)

    cache.open("t", old, NOW, open_slowly)
    cache.open("t", new, NOW, opener)
    assert opener.count == 2


def test_token_itself_is_not_kept() -> None:
    cache, opener = make_cache(), Opener()
    cache.open("the-token", (object(),), NOW, opener)
    assert "the-token" not in str(vars(cache))
