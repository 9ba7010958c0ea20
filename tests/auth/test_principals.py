from dataclasses import FrozenInstanceError
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth import Identity, NotFoundError, Principal
from tests.auth.factories import NOW, make_identity


@pytest.mark.parametrize(
    "written, expected",
    [
        ("user1@shanghai", Principal("user", "user1", "shanghai")),
        ("USER1@Shanghai", Principal("user", "user1", "shanghai")),
        ('"user1@shanghai"', Principal("user", "user1", "shanghai")),
        ("jane.doe-2@shanghai", Principal("user", "jane.doe-2", "shanghai")),
        ("GROUP analysts@shanghai", Principal("group", "analysts", "shanghai")),
        ("group  Analysts@shanghai", Principal("group", "analysts", "shanghai")),
        ("GROUP traders", Principal("group", "traders", None)),
        ("group@shanghai", Principal("user", "group", "shanghai")),
        ("  user1@shanghai ", Principal("user", "user1", "shanghai")),
    ],
)
def test_principals_are_read_in_their_written_forms(written: str, expected: Principal) -> None:
    assert Principal.parse(written) == expected
    assert Principal.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "written",
    [
        "",
        "user1",
        "GROUP",
        "user1@",
        "@shanghai",
        "user1@shanghai@hangzhou",
        "user 1@shanghai",
        "user1@shang hai",
        "user1@9lives",
        "ПользователЬ@shanghai",
        "-user@shanghai",
        "a" * 64 + "@shanghai",
        "user1@shanghai; DROP",
        "user'1@shanghai",
        "GROUP GROUP x",
        "user\x001@shanghai",
    ],
)
def test_what_cannot_name_anybody_does_not_exist(written: str) -> None:
    with pytest.raises(NotFoundError) as refusal:
        Principal.parse(written)
    assert refusal.value.__context__ is None


def test_a_cluster_is_filled_in_where_none_is_written() -> None:
    assert str(Principal.parse("user1", "shanghai")) == "user1@shanghai"
    assert str(Principal.parse("GROUP g", "shanghai")) == "GROUP g@shanghai"
    assert str(Principal.parse("user1@hangzhou", "shanghai")) == "user1@hangzhou"


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,20}", fullmatch=True)
CLUSTERS = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True)


@given(NAMES, CLUSTERS)
def test_written_principals_read_back_the_same(name: str, cluster: str) -> None:
    for principal in (
        Principal("user", name, cluster),
        Principal("group", name, cluster),
        Principal("group", name),
    ):
        assert Principal.parse(str(principal)) == principal


def test_an_identity_lists_itself_first_then_its_groups_by_name() -> None:
    identity = make_identity("user1@shanghai", ["zeta", "alpha"])
    groups = {
        "traders": frozenset({"user1@shanghai"}),
        "brokers": frozenset({"user1@shanghai", "user2@shanghai"}),
        "others": frozenset({"user1@hangzhou"}),
    }
    assert [str(principal) for principal in identity.principals(groups)] == [
        "user1@shanghai",
        "GROUP alpha@shanghai",
        "GROUP zeta@shanghai",
        "GROUP brokers",
        "GROUP traders",
    ]
    assert len(identity.principals()) == 3


def test_an_administrator_administers_their_own_cluster_only() -> None:
    admin = make_identity("root@shanghai", is_admin=True)
    assert admin.administers("shanghai")
    assert not admin.administers("mom")
    assert not make_identity("user1@shanghai").administers("shanghai")


def test_an_identity_is_a_frozen_value_with_folded_names() -> None:
    identity = make_identity("User1@Shanghai", ["Analysts"])
    assert identity.name == "user1@shanghai"
    assert identity == make_identity("user1@shanghai", ["analysts"])
    assert hash(identity) == hash(make_identity("user1@shanghai", ["analysts"]))
    with pytest.raises(FrozenInstanceError):
        identity.is_admin = True  # type: ignore[misc]  # what is being tested


def test_an_identity_without_a_time_of_issue_is_older_than_everything() -> None:
    identity = Identity("user1", "shanghai", frozenset(), False, "t", NOW)
    assert identity.issued_at == datetime.fromtimestamp(0, UTC)
