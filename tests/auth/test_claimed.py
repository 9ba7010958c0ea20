import pytest

from auth import SigningKey, TokenKind, claimed_name, seal, seal_identity_token
from tests.flight_member.factories import NOW


def make_token(kind: TokenKind, claims: dict[str, object], issuer: str = "shanghai") -> str:
    key = SigningKey.generate()
    return seal(kind, claims, key, issuer=issuer, audience="x", now=NOW, ttl_s=60)


def test_a_token_names_its_user_whether_or_not_it_counts() -> None:
    key = SigningKey.generate()
    token = seal_identity_token("user1", (), key, issuer="shanghai", now=NOW, ttl_s=60)
    assert claimed_name(token) == "user1@shanghai"
    header, payload, _ = token.split(".")
    assert claimed_name(f"{header}.{payload}.forged") == "user1@shanghai"


def test_a_session_names_its_cluster_and_a_server_itself() -> None:
    session = make_token(TokenKind.SESSION, {"sub": "user1", "cluster": "hangzhou"}, "mom")
    assert claimed_name(session) == "user1@hangzhou"
    assert claimed_name(make_token(TokenKind.SERVICE, {})) == "shanghai"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "Bearer",
        "a.b.c",
        "." * 50,
        "x" * 100_000,
        "\ud800",
        make_token(TokenKind.TICKET, {"sub": "user1"}),
        make_token(TokenKind.IDENTITY, {"sub": "user1 was here\n2026-01-01 admin"}),
        make_token(TokenKind.IDENTITY, {"sub": "x" * 200}),
        make_token(TokenKind.IDENTITY, {"sub": {"a": 1}}),
    ],
)
def test_whatever_is_no_name_is_not_told(token: str) -> None:
    assert claimed_name(token) == ""
    assert claimed_name(token.partition(".")[0]) == ""
