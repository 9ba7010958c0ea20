from dataclasses import replace

import pytest

from auth import (
    ExpiredTicketError,
    InvalidTicketError,
    InvalidTokenError,
    TicketExplain,
    TicketShard,
    TokenKind,
    open_identity_token,
    open_sealed,
    open_session_token,
    open_ticket,
    seal,
    seal_identity_token,
    seal_session_token,
    seal_ticket,
    session_ttl_s,
    shared_result,
)
from flight_sql import WireTypes
from tests.auth.factories import (
    HANGZHOU,
    HANGZHOU_KEY,
    MOM,
    MOM_KEY,
    NOW,
    RING,
    SHANGHAI,
    SHANGHAI_KEY,
    later,
    make_identity,
    make_ticket,
)


def test_an_identity_token_says_who_its_user_is() -> None:
    token = seal_identity_token(
        "User1", {"b", "a"}, SHANGHAI_KEY, issuer=SHANGHAI, now=NOW, ttl_s=3600, is_admin=True
    )
    identity = open_identity_token(token, RING, now=later(1))
    assert identity == make_identity(
        "user1@shanghai", ["a", "b"], is_admin=True, token_id=identity.token_id
    )
    assert identity.expires_at == later(3600)
    assert identity.issued_at == NOW


def test_a_session_token_is_the_moms_word_about_a_user_of_any_cluster() -> None:
    identity = make_identity("user1@shanghai", ["analysts"], is_admin=True)
    token = seal_session_token(
        identity, MOM_KEY, issuer=MOM, now=later(60), ttl_s=3600, proved_at=NOW, address="10.0.0.7"
    )
    session = open_session_token(token, RING, audience=MOM, now=later(61))
    assert session.identity == replace(
        identity,
        token_id=session.identity.token_id,
        issued_at=later(60),
        expires_at=later(3660),
    )
    assert (session.issued_at, session.proved_at) == (later(60), NOW)
    assert session.is_bound_elsewhere("10.0.0.8")
    assert not session.is_bound_elsewhere("10.0.0.7")


def test_a_session_without_an_address_counts_from_everywhere() -> None:
    token = seal_session_token(
        make_identity(), MOM_KEY, issuer=MOM, now=NOW, ttl_s=60, proved_at=NOW
    )
    session = open_session_token(token, RING, audience=MOM, now=NOW)
    assert not session.is_bound_elsewhere("10.0.0.8")


def test_a_member_makes_no_sessions_for_the_mom() -> None:
    token = seal_session_token(
        make_identity("root@mom", is_admin=True),
        HANGZHOU_KEY,
        issuer=HANGZHOU,
        audience=MOM,
        now=NOW,
        ttl_s=60,
        proved_at=NOW,
    )
    with pytest.raises(InvalidTokenError, match="issuer"):
        open_session_token(token, RING, audience=MOM, now=NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"cluster": None},
        {"cluster": "not a cluster"},
        {"proved": None},
        {"proved": True},
        {"proved": -1},
        {"proved": 10**300},
        {"proved": NOW.timestamp() + 3600},
        {"address": 5},
        {"sub": None},
    ],
)
def test_a_session_token_that_does_not_say_who_and_since_when_is_refused(
    changes: dict[str, object],
) -> None:
    claims: dict[str, object] = {
        "sub": "user1", "cluster": SHANGHAI, "groups": [], "admin": False,
        "proved": NOW.timestamp(), "address": None,
    }  # fmt: skip

    def make(claims: dict[str, object]) -> str:
        return seal(TokenKind.SESSION, claims, MOM_KEY, issuer=MOM, audience=MOM, now=NOW, ttl_s=60)

    assert open_session_token(make(claims), RING, audience=MOM, now=NOW)
    with pytest.raises(InvalidTokenError):
        open_session_token(make(claims | changes), RING, audience=MOM, now=NOW)


def test_a_session_is_renewed_at_half_its_time_and_ends_some_hours_after_the_proof() -> None:
    token = seal_session_token(
        make_identity(), MOM_KEY, issuer=MOM, now=NOW, ttl_s=100, proved_at=NOW
    )
    session = open_session_token(token, RING, audience=MOM, now=NOW)
    assert not session.needs_renewal(later(49.9))
    assert session.needs_renewal(later(50))
    assert session_ttl_s(NOW, later(50), ttl_s=100, max_s=1000) == 100
    assert session_ttl_s(NOW, later(950), ttl_s=100, max_s=1000) == 50
    assert session_ttl_s(NOW, later(1001), ttl_s=100, max_s=1000) < 0


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"groups": frozenset()},
        {"tables": ()},
        {"catalog": None, "schema": None},
        {"sql": "select 'größe', '☃', '\x00'"},
        {"sql": "x" * 262_144},
        {"shard": TicketShard(2, ("shanghai", "a", "b"), "r1")},
        {"epoch": 2**53},
        {"tables": (), "explain": TicketExplain(True, False, True, ())},
        *({"wire": wire} for wire in WireTypes),
    ],
)
def test_a_ticket_comes_back_as_it_was_sealed(changes: dict[str, object]) -> None:
    ticket = make_ticket(**changes)
    data = seal_ticket(ticket, MOM_KEY, issuer=MOM)
    opened = open_ticket(data, RING, issuer=MOM, member=HANGZHOU, now=NOW)
    assert opened == ticket
    assert (opened.issuer, opened.caller) == (MOM, "user1@shanghai")
    assert open_ticket(data, RING, issuer=MOM, member=None, now=NOW) == ticket


def test_a_tickets_caller_is_never_an_administrator() -> None:
    identity = make_ticket().identity
    assert identity.name == "user1@shanghai"
    assert identity.groups == {"analysts"}
    assert not identity.is_admin


def test_a_ticket_is_for_one_member_from_one_issuer_and_for_its_time() -> None:
    data = seal_ticket(make_ticket(), MOM_KEY, issuer=MOM)
    with pytest.raises(InvalidTicketError, match="another server"):
        open_ticket(data, RING, issuer=MOM, member=SHANGHAI, now=NOW)
    with pytest.raises(InvalidTicketError, match="issuer"):
        open_ticket(data, RING, issuer=SHANGHAI, member=HANGZHOU, now=NOW)
    with pytest.raises(InvalidTicketError, match="not valid yet"):
        open_ticket(data, RING, issuer=MOM, member=HANGZHOU, now=later(-31))
    with pytest.raises(ExpiredTicketError):
        open_ticket(data, RING, issuer=MOM, member=HANGZHOU, now=later(300))


def test_a_ticket_that_ends_before_it_starts_is_not_made() -> None:
    with pytest.raises(ValueError, match="ttl_s"):
        seal_ticket(make_ticket(expires_at=NOW), MOM_KEY, issuer=MOM)


GOOD_CLAIMS: dict[str, object] = {
    "sub": "user1", "cluster": SHANGHAI, "groups": [], "sql": "select 1", "catalog": None,
    "schema": None, "tables": [["a.b.c@hangzhou", "id", 1, "snap"]], "epoch": 1, "query": "q",
    "shard": None, "explain": None, "wire": "safe", "mom_groups": [], "parameters": None,
    "until": None, "shape": "s",
}  # fmt: skip


def test_the_claims_below_are_all_that_a_ticket_has() -> None:
    data = seal_ticket(make_ticket(), MOM_KEY, issuer=MOM)
    sealed = open_sealed(TokenKind.TICKET, data, RING, audience=HANGZHOU, now=NOW)
    assert sealed.keys() - {"iss", "aud", "iat", "exp", "jti"} == GOOD_CLAIMS.keys()


def seal_claims(claims: dict[str, object]) -> bytes:
    text = seal(TokenKind.TICKET, claims, MOM_KEY, issuer=MOM, audience=HANGZHOU, now=NOW, ttl_s=60)
    return text.encode()


@pytest.mark.parametrize("claim", sorted(GOOD_CLAIMS))
@pytest.mark.parametrize("value", [..., True, -1, 1.5, {}, [[]], [5]], ids=repr)
def test_a_genuine_ticket_with_a_claim_of_another_shape_is_refused(
    claim: str, value: object
) -> None:
    assert open_ticket(seal_claims(GOOD_CLAIMS), RING, member=HANGZHOU, now=NOW)
    claims = {**GOOD_CLAIMS, claim: value}
    if value is ...:
        del claims[claim]
    with pytest.raises(InvalidTicketError):
        open_ticket(seal_claims(claims), RING, member=HANGZHOU, now=NOW)


@pytest.mark.parametrize(
    "table",
    [
        ["a.b@hangzhou", "id", 1, "snap"],
        ["a.b.c", "id", 1, "snap"],
        ["a.b.c@hangzhou", "id", True, "snap"],
        ["a.b.c@hangzhou", "id", 1],
        ["a.b.c@hangzhou", "id", 1, "snap", "more"],
        ["../etc@hangzhou", "id", 1, "snap"],
    ],
)
def test_a_ticket_names_whole_tables(table: list[object]) -> None:
    with pytest.raises(InvalidTicketError):
        open_ticket(seal_claims({**GOOD_CLAIMS, "tables": [table]}), RING, member=HANGZHOU, now=NOW)


@pytest.mark.parametrize(
    "shard",
    [
        [3, ["a", "b", "c"], "r"],
        [-1, ["a", "b"], "r"],
        [True, ["a", "b"], "r"],
        ["0", ["a", "b"], "r"],
        [0, [], "r"],
        [0, ["a", "a"], "r"],
        [0, ["a", 1], "r"],
        [0, "ab", "r"],
        [0, ["a", "b"], ""],
        [0, ["a", "b"], 1],
        [0, ["a", "b"]],
        [0, ["a", "b"], "r", "more"],
        # A number of parts, without their names, is not enough to tell them.
        [0, 2],
    ],
)
def test_a_shard_is_one_of_several_names(shard: list[object]) -> None:
    with pytest.raises(InvalidTicketError):
        open_ticket(seal_claims({**GOOD_CLAIMS, "shard": shard}), RING, member=HANGZHOU, now=NOW)


def test_tickets_of_one_result_are_known_by_it() -> None:
    shards = [TicketShard(part, ("a", "b"), "r1") for part in range(2)]
    sealed = [seal_ticket(make_ticket(shard=one), MOM_KEY, issuer=MOM) for one in shards]
    first, second = map(shared_result, sealed)
    assert first is not None
    assert first == second
    assert first.life == make_ticket().expires_at - NOW
    other = seal_ticket(make_ticket(shard=shards[0]), HANGZHOU_KEY, issuer=HANGZHOU)
    assert shared_result(other) != first


@pytest.mark.parametrize("sql", ["select 1", 'select \'"shard":[0,["a"],"r1"]\''])
def test_a_ticket_for_all_rows_shares_its_result_with_none(sql: str) -> None:
    assert shared_result(seal_ticket(make_ticket(sql=sql), MOM_KEY, issuer=MOM)) is None
    hidden = TicketShard(0, ("a", '"shard":null'), "r1")
    sealed = seal_ticket(make_ticket(sql='"shard":null', shard=hidden), MOM_KEY, issuer=MOM)
    assert shared_result(sealed) is not None


@pytest.mark.parametrize("handle", [b"", b"a", b"a.b.c", b"..", b"\xff.\xff.\xff", b"e30.e30.e30"])
def test_what_is_no_ticket_shares_no_result(handle: bytes) -> None:
    assert shared_result(handle) is None


@pytest.mark.parametrize(
    "explain",
    [
        [True, False, False],
        [True, False, False, []],
        [True, False, False, ["rule", "rule"]],
        [True, False, False, [1]],
        [1, False, False, ["rule"]],
        [True, None, False, ["rule"]],
    ],
)
def test_an_explanation_names_the_rule_of_each_table(explain: list[object]) -> None:
    good = {**GOOD_CLAIMS, "explain": [True, False, False, ["rule"]]}
    assert open_ticket(seal_claims(good), RING, member=HANGZHOU, now=NOW).explain
    with pytest.raises(InvalidTicketError):
        open_ticket(seal_claims({**good, "explain": explain}), RING, member=HANGZHOU, now=NOW)
