"""The keys of outside issuers as they are fetched: rotated, missing, taken back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auth import AuthUnavailableError, InvalidTokenError
from flight_member.configuration import load_settings
from flight_member.errors import ConfigurationError
from flight_mom.issuers import OutsideIssuers
from flight_mom.settings import IssuerSection, MomSettings
from tests.e2e.token_endpoint import TokenEndpoint, running_token_endpoint

USER = "user1@shanghai"


@pytest.fixture(name="endpoint")
def serve() -> Iterator[TokenEndpoint]:
    with running_token_endpoint() as endpoint:
        yield endpoint


class Clock:
    """The real time, moved on by what a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def make_issuers(endpoint: TokenEndpoint, now: Clock, **changes: Any) -> OutsideIssuers:
    section = {"issuer": endpoint.uri, "audience": "flight-mom", "clusters": ("shanghai",)}
    where = {"jwks_url": f"{endpoint.uri}/keys"} if "jwks_file" not in changes else {}
    return OutsideIssuers([IssuerSection.model_validate(section | where | changes)], now)


def test_rotated_key_is_found_after_a_minute_and_the_old_one_gone(endpoint: TokenEndpoint) -> None:
    now = Clock()
    issuers = make_issuers(endpoint, now)
    old = endpoint.token(sub="user1", exp=now().timestamp() + 9000)
    assert issuers.open(old).name == USER
    assert issuers.open(old).name == USER
    assert endpoint.key_requests == 1

    endpoint.rotate()
    new = endpoint.token(sub="user1", exp=now().timestamp() + 9000)
    # Nobody makes the MoM ask for ever: not before a minute has passed.
    for _ in range(5):
        with pytest.raises(InvalidTokenError):
            issuers.open(new)
    assert endpoint.key_requests == 1
    now.ahead = timedelta(seconds=61)
    assert issuers.open(new).name == USER
    with pytest.raises(InvalidTokenError):
        issuers.open(old)
    assert endpoint.key_requests == 2


def test_keys_are_renewed_every_hour(endpoint: TokenEndpoint) -> None:
    now = Clock()
    issuers = make_issuers(endpoint, now)
    token = endpoint.token(sub="user1", exp=now().timestamp() + 90_000)
    issuers.open(token)
    endpoint.rotate()
    now.ahead = timedelta(minutes=59)
    assert issuers.open(token).name == USER
    now.ahead = timedelta(minutes=61)
    with pytest.raises(InvalidTokenError):
        issuers.open(token)


def test_issuer_that_is_away_counts_for_a_day(endpoint: TokenEndpoint) -> None:
    now = Clock()
    issuers = make_issuers(endpoint, now)
    token = endpoint.token(sub="user1", exp=now().timestamp() + 200_000)
    issuers.open(token)
    endpoint.is_answering = False
    now.ahead = timedelta(hours=23)
    assert issuers.open(token).name == USER
    now.ahead = timedelta(hours=25)
    with pytest.raises(AuthUnavailableError):
        issuers.open(token)
    endpoint.is_answering = True
    now.ahead = timedelta(hours=25, minutes=2)
    assert issuers.open(token).name == USER


def test_issuer_that_never_answered_is_unavailable(endpoint: TokenEndpoint) -> None:
    endpoint.is_answering = False
    issuers = make_issuers(endpoint, Clock())
    token = endpoint.token(sub="user1")
    with pytest.raises(AuthUnavailableError):
        issuers.open(token)
    endpoint.is_answering = True
    assert issuers.open(token).name == USER


def test_keys_in_a_file_are_read_again_when_it_changes(
    endpoint: TokenEndpoint, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(endpoint.published())
    issuers = make_issuers(endpoint, Clock(), jwks_file=file)
    assert issuers.open(endpoint.token(sub="user1")).name == USER
    endpoint.rotate()
    token = endpoint.token(sub="user1")
    with pytest.raises(InvalidTokenError):
        issuers.open(token)
    file.write_bytes(endpoint.published() + b"\n")
    assert issuers.open(token).name == USER
    file.write_bytes(b"half a file")
    assert issuers.open(token).name == USER  # what was read last counts on
    assert endpoint.key_requests == 0


def test_token_of_an_unknown_issuer_is_refused(endpoint: TokenEndpoint) -> None:
    issuers = make_issuers(endpoint, Clock())
    token = endpoint.token(sub="user1", iss="https://elsewhere.example")
    assert not issuers.names(token)
    assert issuers.names(endpoint.token(sub="user1"))
    with pytest.raises(InvalidTokenError):
        issuers.open(token)
    assert endpoint.key_requests == 0


WHOLE = 'issuer = "https://id.example"\naudience = "a"\n'


@pytest.mark.parametrize(
    "section, fault",
    [
        (WHOLE + 'clusters = ["c"]', "give jwks_file or jwks_url"),
        (WHOLE + 'clusters = ["c"]\njwks_url = "https://i/k"\njwks_file = "k"', "give jwks_file"),
        (WHOLE + 'clusters = []\njwks_url = "https://i/k"', "auth.issuer.0.clusters"),
        (WHOLE + 'clusters = ["c", "d"]\njwks_url = "https://i/k"', "needs cluster_claim"),
        (WHOLE + 'clusters = ["c"]\njwks_url = "http://id.example/k"', "must begin with https"),
        (WHOLE + 'clusters = ["c"]\njwks_url = "file:///etc/passwd"', "must begin with https"),
        (WHOLE + 'clusters = ["c"]\njwks_url = "https:///k"', "must begin with https"),
        (WHOLE + 'clusters = ["c d"]\njwks_url = "https://i/k"', "auth.issuer.0.clusters.0"),
        ('issuer = ""\naudience = "a"\nclusters = ["c"]\njwks_url = "https://i/k"', "issuer.0"),
    ],
)
def test_issuer_that_is_not_whole_is_a_fault_of_the_settings(
    tmp_path: Path, section: str, fault: str
) -> None:
    file = tmp_path / "flight-mom.toml"
    file.write_text(f'[cluster]\nname = "mom"\n[[auth.issuer]]\n{section}\n', "utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load_settings(MomSettings, file)
    assert any(fault in one for one in refused.value.faults), refused.value.faults
