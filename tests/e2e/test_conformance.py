"""What every client of Flight SQL relies on, item by item, of the MoM and of a member.

What is tested in a module of its own stands there: schemas and filters in test_metadata, values in
test_sql_info, every command by every RPC in test_calls.
"""

import base64

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_mom.demo.federation import MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from tests.e2e.federation import bearer, require_clean
from tests.e2e.flightcalls import ask, handshake

USER = f"user1@{SHANGHAI}"


@pytest.fixture(params=[MOM, SHANGHAI])
def uri(request: pytest.FixtureRequest, federation: DemoFederation) -> str:
    return federation.uri(str(request.param))


@pytest.fixture
def password(federation: DemoFederation) -> str:
    return federation.password("user1")


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _refused(uri: str, authorization: str | None) -> str:
    with pytest.raises(flight.FlightUnauthenticatedError) as refused:
        handshake(uri, authorization)
    require_clean(str(refused.value))
    details = (refused.value.extra_info or b"").decode("latin-1")
    require_clean(details)
    return str(refused.value)


def _answers(uri: str, authorization: str | None) -> bool:
    """Whether a header of a Handshake's answer is good for a call."""
    assert authorization is not None
    scheme, _, token = authorization.partition(" ")
    assert scheme == "Bearer"
    with flight.FlightClient(uri) as raw:
        return bool(ask(raw, bearer(token), "CommandGetTableTypes").num_rows)


def test_handshake_takes_basic_with_padding_and_without(uri: str, password: str) -> None:
    padded = _basic(USER, password)
    assert padded.endswith("=")
    for credentials in (padded, padded.rstrip("=")):
        for scheme in ("Basic", "basic", "BASIC"):
            assert _answers(uri, handshake(uri, f"{scheme} {credentials}"))


def test_handshake_takes_a_bearer_and_answers_one(uri: str, password: str) -> None:
    first = handshake(uri, f"Basic {_basic(USER, password)}")
    assert first is not None
    assert _answers(uri, handshake(uri, first))


def test_handshake_of_pyarrow_signs_in(uri: str, password: str) -> None:
    with flight.FlightClient(uri) as raw:
        name, value = raw.authenticate_basic_token(USER, password)
    assert name == b"authorization"
    assert _answers(uri, value.decode())


def test_empty_handshake_is_unauthenticated(uri: str) -> None:
    assert _refused(uri, None).startswith("invalid-token: ")


@pytest.mark.parametrize("authorization", ["Basic", "Basic !", "Basic eA", "Bearer", "Bearer x"])
def test_odd_handshakes_are_unauthenticated(uri: str, authorization: str) -> None:
    assert _refused(uri, authorization).startswith("invalid-token: ")


def test_wrong_password_is_unauthenticated_without_a_traceback(uri: str) -> None:
    for user in ("nobody@shanghai", "nobody"):
        assert _refused(uri, f"Basic {_basic(user, 'wrong')}").startswith("invalid-token: ")


def test_basic_is_for_handshakes_alone(uri: str, password: str) -> None:
    header = (b"authorization", f"Basic {_basic(USER, password)}".encode())
    options = flight.FlightCallOptions(timeout=30, headers=[header])
    with (
        flight.FlightClient(uri) as raw,
        pytest.raises(flight.FlightUnauthenticatedError, match=r"^invalid-token: "),
    ):
        raw.list_actions(options)


def test_sql_info_is_answered_whole_by_one_and_for_unknown_ids(
    federation: DemoFederation, uri: str
) -> None:
    with Client(uri) as client, flight.FlightClient(uri) as raw:
        token = client.sign_in(USER, federation.password("user1"))
        options = bearer(str(token or client.token))
        whole = ask(raw, options, "CommandGetSqlInfo")
        one = ask(raw, options, "CommandGetSqlInfo", info=[8])
        none = ask(raw, options, "CommandGetSqlInfo", info=[77, 99_999])
    assert whole.num_rows == len(set(whole["info_name"].to_pylist())) == 91
    assert one.to_pylist() == [{"info_name": 8, "value": 0}]
    assert none.num_rows == 0
    assert isinstance(whole.schema.field("value").type, pa.DenseUnionType)
