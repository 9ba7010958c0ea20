import pytest

from flight_member import protocol
from flight_member.errors import BadRequestError


def make_join_request(**changes: object) -> protocol.JoinRequest:
    values = {
        "token": "hunter22",
        "cluster": "shanghai",
        "public_key": "k",
        "certificate_request": "r",
        "uri": "grpc://127.0.0.1:1",
    }
    return protocol.JoinRequest.model_validate(values | changes)


MINOR = protocol.PROTOCOL_MINOR


@pytest.mark.parametrize("version", [(1, MINOR - 1), (1, MINOR), (1, MINOR + 1)])
def test_speaker_one_minor_version_away_is_understood(version: tuple[int, int]) -> None:
    make_join_request(protocol=version).check_protocol("shanghai")


@pytest.mark.parametrize("version", [(1, MINOR + 2), (2, MINOR), (0, MINOR), (1, MINOR - 2)])
def test_speaker_further_away_is_refused_by_name(version: tuple[int, int]) -> None:
    with pytest.raises(BadRequestError, match="shanghai speaks protocol"):
        make_join_request(protocol=version).check_protocol("shanghai")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"\xff", b"{}", b'{"user": 1}', b'{"password": "hunter22"}']
)
def test_malformed_body_is_refused_by_its_fields_alone(body: bytes) -> None:
    with pytest.raises(BadRequestError, match="not well formed") as caught:
        protocol.SignInRequest.read(body)
    assert "hunter22" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_message_above_its_size_is_refused_unread() -> None:
    body = b'{"user": "' + b"x" * protocol.JoinRequest.max_bytes + b'"}'
    with pytest.raises(BadRequestError, match="at most"):
        protocol.JoinRequest.read(body)


def test_refusal_of_a_long_list_stays_short() -> None:
    body = b'{"uri": "", "report_version": "", "policy_epoch": 0, "nodes": [' + b"1," * 999 + b"1]}"
    with pytest.raises(BadRequestError) as caught:
        protocol.Heartbeat.read(body)
    assert len(str(caught.value)) < 300


def test_numbers_that_are_none_are_refused() -> None:
    body = b'{"name": "u", "groups": [], "is_admin": false, "is_locked": false, "changed_at": NaN}'
    with pytest.raises(BadRequestError, match="changed_at"):
        protocol.ReportedUser.read(body)


def test_field_of_a_newer_version_is_left_alone() -> None:
    assert protocol.Acknowledgement.read(b'{"done": true, "new": 1}').done


@pytest.mark.parametrize(
    "message",
    [
        make_join_request(),
        protocol.SignInRequest(user="user1", password="hunter22", source="here"),
        protocol.SignInReply(token="hunter22"),
        protocol.MembersReply(cluster="c", state="joining", join_token="hunter22"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_secret_is_in_the_body_and_in_no_text(message: protocol.Message) -> None:
    assert b"hunter22" in message.write()
    assert type(message).read(message.write()) == message
    for text in (repr(message), str(message), f"{message}"):
        assert "hunter22" not in text
