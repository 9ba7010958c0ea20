"""Garbage, unknown commands, wrong tokens and hostile SQL through every RPC of both servers.

Whatever is sent, the answer is a refusal with a code and a text of our own, and the server lives.
"""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pyarrow as pa
import pytest
from pyarrow import flight

from auth import FEDERATION, SigningKey, TokenKind, seal, seal_identity_token
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from flight_sql.messages import pack, sql_message, statement_ticket
from tests.e2e.federation import (
    FLIGHTS_AT,
    QUOTES_AT,
    SALARIES_AT,
    bearer,
    member_key,
    mom_key,
    refusal,
    refused_sql,
    require_clean,
)

CODES = (
    *("invalid-request", "request-not-supported", "invalid-ticket", "expired-ticket"),
    *("invalid-token", "expired-token", "revoked-token", "sql-syntax", "one-statement-only"),
    *("statement-too-large", "statement-not-supported", "not-found", "unknown-column"),
    *("type-mismatch", "join-not-supported", "multi-cluster-query", "cross-cluster-read-only"),
    *("permission-denied", "locked", "row-too-large"),
)
SERVERS = (MOM, SHANGHAI, HANGZHOU)
SUSPEND = b'{"action": "suspend", "cluster": "hangzhou"}'
HOSTILE_SQL = (
    "",
    " ",
    ";",
    "\x00",
    "\ud7ff\U0010ffff",
    "select",
    "select * from",
    "select * from '/etc/passwd'",
    "select * from read_parquet('/etc/passwd')",
    "copy (select 1) to '/tmp/x.csv'",
    "create external table x stored as csv location '/etc/passwd'",
    "set datafusion.execution.batch_size = 1",
    "explain analyze copy (select 1) to '/tmp/x.csv'",
    "select 1; select 2",
    f"select * from {SALARIES_AT}",
    f"select nonsense from {FLIGHTS_AT}",
    f"select * from {FLIGHTS_AT} a, {SALARIES_AT} b",
    "select 1/0 from trading.stock.quote@nowhere",
    "select " + "(" * 20_000,
    "select 1 where " + " or ".join(["true"] * 10_000),
    "select '" + "x" * 300_000 + "'",
    "GRANT TABLE_READ ON a.b.c@hangzhou TO user1@shanghai",
    "GRANT EVERYTHING ON a.b.c@hangzhou TO user1@shanghai",
    "DENY TABLE_READ ON a.b@hangzhou TO user1@shanghai UNTIL 'never'",
    'grant("user1@shanghai", TABLE_READ, "a.b.c@hangzhou"',
    "SHOW GRANTS FOR",
    "EXPLAIN ACCESS OF nobody@nowhere TO a.b.c@nowhere",
    "DESCRIBE payroll.hr.salaries@hangzhou",
    "DESCRIBE '/etc/passwd'",
    "insert into trading.stock.quote@hangzhou values (1)",
    "drop table trading.stock.quote@hangzhou",
    "select $1",
)
GARBAGE = (
    b"",
    b"\x00",
    b"\xff" * 100,
    b"select 1",
    b"\x0a\x05hello",
    pack(sql_message("ActionBeginTransactionRequest")),
    pack(sql_message("CommandStatementSubstraitPlan")),
    pack(sql_message("CommandStatementIngest", table="x")),
    pack(sql_message("CommandStatementUpdate", query="drop table x")),
    pack(sql_message("CommandStatementQuery", query="select 1", transaction_id=b"x")),
    pack(sql_message("CommandPreparedStatementQuery", prepared_statement_handle=b"x")),
    pack(sql_message("CommandPreparedStatementUpdate", prepared_statement_handle=b"\xff")),
    pack(sql_message("TicketStatementQuery", statement_handle=b"x")),
    statement_ticket(b"a.b.c"),
    statement_ticket(b"\xff\xfe" * 1000),
    b"x" * 1_000_000,
)

Rpc = Callable[[Any, bytes, Any], object]


def _get_flight_info(client: Any, data: bytes, options: Any) -> object:
    return client.get_flight_info(flight.FlightDescriptor.for_command(data), options)


def _get_schema(client: Any, data: bytes, options: Any) -> object:
    return client.get_schema(flight.FlightDescriptor.for_command(data), options)


def _get_flight_info_by_path(client: Any, data: bytes, options: Any) -> object:
    return client.get_flight_info(flight.FlightDescriptor.for_path(data[:1000].hex()), options)


def _do_get(client: Any, data: bytes, options: Any) -> object:
    return client.do_get(flight.Ticket(data), options).read_all()


def _do_put(client: Any, data: bytes, options: Any) -> object:
    descriptor = flight.FlightDescriptor.for_command(data)
    writer, reader = client.do_put(descriptor, pa.schema([("x", pa.int64())]), options)
    with writer:
        writer.write_batch(pa.record_batch({"x": [1, 2]}))
        writer.done_writing()
        return reader.read()


def _do_action(client: Any, data: bytes, options: Any) -> object:
    return list(client.do_action(flight.Action("CreatePreparedStatement", data), options))


def _do_unknown_action(client: Any, data: bytes, options: Any) -> object:
    return list(client.do_action(flight.Action(data[:50].hex() or "x", data), options))


def _do_exchange(client: Any, data: bytes, options: Any) -> object:
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(data), options)
    with writer:
        writer.done_writing()
        return reader.read_all()


def _act(client: Any, action: Any, options: Any) -> object:
    return list(client.do_action(action, options))


def _list_flights(client: Any, data: bytes, options: Any) -> object:
    return list(client.list_flights(data, options))


def _list_actions(client: Any, data: bytes, options: Any) -> object:
    del data
    return client.list_actions(options)


RPCS: tuple[Rpc, ...] = (
    _get_flight_info,
    _get_flight_info_by_path,
    _get_schema,
    _do_get,
    _do_put,
    _do_action,
    _do_unknown_action,
    _do_exchange,
)
FEDERATION_ACTIONS = (
    *("federation.join", "federation.heartbeat", "federation.report", "federation.members"),
    *("member.sign_in", "CancelFlightInfo", "CancelQuery", "ClosePreparedStatement"),
    *("BeginTransaction", "EndTransaction", "CreatePreparedSubstraitPlan", "SetSessionOptions"),
)


@pytest.fixture(scope="module")
def tokens(federation: DemoFederation) -> dict[str, str]:
    """A token of a user who may sign in at each server and is granted nothing."""
    return {
        server: _signed_in(federation, "user2" if server == HANGZHOU else "stranger", server)
        for server in SERVERS
    }


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def raw(federation: DemoFederation, server: str) -> Iterator[Any]:
    with flight.FlightClient(federation.uri(server)) as client:
        yield client
    federation.check_alive()


def _signed_in(federation: DemoFederation, user: str, server: str) -> str:
    cluster = HANGZHOU if user == "user2" else SHANGHAI
    with federation.client(user, cluster, at=server) as client:
        return str(client.token)


def _message(ask: Callable[..., object], *arguments: object) -> str | None:
    """Return what was refused with, checked for secrets; None when it was answered."""
    try:
        ask(*arguments)
    except (flight.FlightError, pa.ArrowException, OSError) as error:
        text = str(error)
        details = getattr(error, "extra_info", b"") or b""
        require_clean(text)
        require_clean(details.decode("latin-1"))
        return text
    return None


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.__name__)
def test_garbage_is_refused_with_a_code(
    raw: Any, server: str, tokens: dict[str, str], rpc: Rpc
) -> None:
    for data in GARBAGE:
        text = _message(rpc, raw, data, bearer(tokens[server]))
        assert text is not None, data[:60]
        assert any(f"{code}: " in text for code in CODES), (data[:60], text)


@pytest.mark.parametrize("rpc", [_get_flight_info, _get_schema], ids=lambda rpc: rpc.__name__)
@pytest.mark.parametrize("sql", HOSTILE_SQL, ids=range(len(HOSTILE_SQL)))
def test_hostile_statements_are_refused_with_a_code(
    raw: Any, server: str, tokens: dict[str, str], rpc: Rpc, sql: str
) -> None:
    command = pack(sql_message("CommandStatementQuery", query=sql))
    text = _message(rpc, raw, command, bearer(tokens[server]))
    assert text is None or any(f"{code}: " in text for code in CODES), text


@pytest.mark.parametrize("kind", FEDERATION_ACTIONS)
def test_actions_with_garbage_are_refused_with_a_code(
    raw: Any, server: str, tokens: dict[str, str], kind: str
) -> None:
    bodies = (*GARBAGE, b"{}", b"[]", b"null", b'{"action": 1}', b'{"protocol": [9, 9]}')
    for body in bodies:
        action = flight.Action(kind, body)
        for options in (bearer(tokens[server]), flight.FlightCallOptions(timeout=30)):
            text = _message(_act, raw, action, options)
            assert text is None or any(f"{code}: " in text for code in CODES), text


def test_what_only_members_or_administrators_may_send_is_denied_to_users(
    raw: Any, server: str, tokens: dict[str, str]
) -> None:
    options = bearer(tokens[server])
    kinds = ["member.sign_in"] if server != MOM else list(FEDERATION_ACTIONS[1:4])
    for kind in kinds:
        text = _message(_act, raw, flight.Action(kind, SUSPEND), options)
        assert text is not None
        assert "permission-denied: " in text


@pytest.mark.parametrize("name", ["expired", "forged", "none", "hs256", "kinds", "other", "cut"])
def test_a_wrong_token_is_refused_by_every_rpc(
    federation: DemoFederation, raw: Any, server: str, name: str
) -> None:
    for token in _wrong_tokens(federation, server)[name]:
        for rpc in (*RPCS, _list_flights, _list_actions, _handshake):
            command = pack(sql_message("CommandStatementQuery", query="select 1"))
            data = pack(sql_message("CommandGetCatalogs")) if rpc is _do_get else command
            text = _message(rpc, raw, data, bearer(token))
            assert text is not None, (rpc, token)
            assert any(f"{code}: " in text for code in ("invalid-token", "expired-token")), text


def test_no_token_is_refused_by_every_rpc(raw: Any) -> None:
    options = flight.FlightCallOptions(timeout=30)
    for rpc in (*RPCS, _list_flights, _list_actions):
        data = pack(sql_message("CommandGetCatalogs"))
        text = _message(rpc, raw, data, options)
        assert text is not None
        assert "invalid-token: " in text


@pytest.mark.parametrize(
    "credentials",
    [b"", b"Basic", b"Basic !!!", b"Basic eA==", b"Bearer", b"Bearer x", b"Digest x"],
)
def test_odd_credentials_are_refused(raw: Any, credentials: bytes) -> None:
    options = flight.FlightCallOptions(timeout=30, headers=[(b"authorization", credentials)])
    text = _message(raw.list_actions, options)
    assert text is not None
    assert "invalid-token: " in text


def test_every_changed_byte_of_a_token_is_refused(
    raw: Any, server: str, tokens: dict[str, str]
) -> None:
    token = tokens[server]
    for position in range(0, len(token), 3):
        changed = (
            token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        )
        text = _message(raw.list_actions, bearer(changed))
        assert text is not None, position
        assert "invalid-token: " in text


def test_wrong_user_wrong_password_and_wrong_cluster_get_the_same_words(
    federation: DemoFederation,
) -> None:
    users = ("user1@shanghai", "nobody@shanghai", "user1@nowhere", "admin@headquarters", "nobody")
    said = set()
    for user in users:
        with Client(federation.uri(MOM)) as client:
            said.add(str(refusal(client.sign_in, user, "not it")))
    assert len(said) == 1
    assert said.pop().startswith("invalid-token: ")


def test_a_hidden_table_and_a_missing_one_get_the_same_words(
    federation: DemoFederation, server: str, tokens: dict[str, str]
) -> None:
    hidden = QUOTES_AT if server == HANGZHOU else SALARIES_AT
    names = (hidden, hidden.replace("@", "z@"), "aa.bb.cc@nowhere")
    for pattern in ("select * from {}", "describe {}", "explain select * from {}"):
        said = set()
        with Client(federation.uri(server), token=tokens[server]) as client:
            for name in names:
                sql = pattern.format(name)
                error = refused_sql(client, sql)
                assert error.code == "not-found"
                said.add(str(error).replace(name, "NAME"))
        assert len(said) == 1, sorted(said)


def _handshake(client: Any, data: bytes, options: Any) -> object:
    del data
    return client.authenticate(_Silent(), options)


class _Silent(flight.ClientAuthHandler):  # type: ignore[misc]  # pyarrow ships no types
    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        outgoing.write(b"")
        incoming.read()

    def get_token(self) -> bytes:
        return b""


def _wrong_tokens(federation: DemoFederation, server: str) -> dict[str, list[str]]:
    """Return tokens that must not count, by what is wrong with them."""
    cluster = HANGZHOU if server == HANGZHOU else SHANGHAI
    user = "user2" if cluster == HANGZHOU else "user1"
    key, now = member_key(federation, cluster), datetime.now(UTC)
    good = seal_identity_token(user, (), key, issuer=cluster, now=now, ttl_s=600)
    header, payload, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    kid = jwt.get_unverified_header(good)["kid"]
    unsigned = base64.urlsafe_b64encode(
        json.dumps({"alg": "none", "kid": kid, "typ": "fm-identity+jwt"}).encode()
    ).rstrip(b"=")
    other = member_key(federation, SHANGHAI if cluster == HANGZHOU else HANGZHOU)
    return {
        "expired": [
            seal_identity_token(
                user, (), key, issuer=cluster, now=now - timedelta(hours=2), ttl_s=3600
            )
        ],
        "forged": [
            seal_identity_token(user, (), SigningKey.generate(), issuer=cluster, now=now, ttl_s=60)
        ],
        "none": [f"{unsigned.decode()}.{payload}.", f"{unsigned.decode()}.{payload}.{signature}"],
        "hs256": [
            jwt.encode(
                claims,
                key.public_key.to_text().encode().ljust(32, b"x"),
                algorithm="HS256",
                headers={"kid": kid, "typ": "fm-identity+jwt"},
            )
        ],
        "kinds": [
            seal(kind, {"sub": user, "groups": []}, key, issuer=cluster, audience=audience,
                 now=now, ttl_s=60)
            for kind in (TokenKind.TICKET, TokenKind.PREPARED, TokenKind.ANSWER, TokenKind.JOIN)
            for audience in (FEDERATION, server)
        ],
        "other": [
            seal_identity_token(user, (), other, issuer=cluster, now=now, ttl_s=60),
            seal_identity_token(
                user, (), mom_key(federation), issuer=cluster, now=now, ttl_s=60, is_admin=True
            ),
            seal_identity_token(
                user, (), key, issuer=cluster, audience="elsewhere", now=now, ttl_s=60
            ),
            seal_identity_token(
                "admin", (), key, issuer=MOM, is_admin=True, now=now, ttl_s=60
            ),
        ],
        "cut": [good[:-1], good[1:], header, f"{header}.{payload}", f"{good}.x", "a.b.c", "."],
    }  # fmt: skip
