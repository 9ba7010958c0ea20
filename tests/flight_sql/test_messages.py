import pytest

from flight_sql import InvalidRequestError, InvalidTicketError, RequestNotSupportedError
from flight_sql.descriptors import read_status_details, status_details
from flight_sql.messages import (
    message_name,
    pack,
    read_sql_message,
    read_statement_ticket,
    sql_message,
    statement_ticket,
    unpack,
)


def test_packed_message_is_the_protocols_bytes() -> None:
    packed = pack(sql_message("CommandStatementQuery", query="SELECT 1"))
    url = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    inner = b"\x0a\x08SELECT 1"
    assert packed == b"\x0a" + bytes([len(url)]) + url + b"\x12" + bytes([len(inner)]) + inner


def test_unset_and_empty_are_told_apart() -> None:
    command = unpack(pack(sql_message("CommandGetTables", catalog="", table_types=["VIEW"])))
    assert message_name(command) == "CommandGetTables"
    assert command.HasField("catalog")
    assert not command.HasField("db_schema_filter_pattern")
    assert list(command.table_types) == ["VIEW"]
    assert not command.include_schema


def test_type_url_is_read_from_its_last_slash() -> None:
    packed = pack(sql_message("CommandGetCatalogs"))
    shorter = packed.replace(b"type.googleapis.com/", b"/")
    shorter = bytes([shorter[0], shorter[1] - len(b"type.googleapis.com")]) + shorter[2:]
    assert message_name(unpack(shorter)) == "CommandGetCatalogs"


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"SELECT 1", b"", b"\x0a\x00"])
def test_garbage_is_an_invalid_request(garbage: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        unpack(garbage)


def test_message_of_another_protocol_is_not_supported() -> None:
    packed = pack(sql_message("CommandGetCatalogs")).replace(b"GetCatalogs", b"GetCataPults")
    url_length = packed[1] + 1
    with pytest.raises(RequestNotSupportedError):
        unpack(bytes([packed[0], url_length]) + packed[2:])


def test_command_with_unreadable_fields_is_an_invalid_request() -> None:
    packed = bytearray(pack(sql_message("CommandStatementQuery", query="SELECT 1")))
    packed[-9] = 0x7F  # the text claims to be longer than it is
    with pytest.raises(InvalidRequestError):
        unpack(bytes(packed))


def test_bare_message_is_read_or_refused() -> None:
    data = sql_message("DoPutUpdateResult", record_count=-1).SerializeToString()
    assert read_sql_message("DoPutUpdateResult", data).record_count == -1
    with pytest.raises(InvalidRequestError):
        read_sql_message("DoPutUpdateResult", b"\x08")


def test_statement_ticket_round_trips() -> None:
    assert read_statement_ticket(statement_ticket(b"handle")) == b"handle"


def test_no_byte_of_a_statement_ticket_can_change_unnoticed() -> None:
    handle = b"a handle of some length" * 8
    ticket = statement_ticket(handle)
    for position in range(len(ticket)):
        for bit in range(8):
            changed = bytearray(ticket)
            changed[position] ^= 1 << bit
            try:
                assert read_statement_ticket(bytes(changed)) != handle
            except InvalidTicketError:
                continue


@pytest.mark.parametrize(
    "change",
    [
        lambda ticket: ticket + b"\x18\x01",  # an unknown field after it
        lambda ticket: b"\x18\x01" + ticket,
        lambda ticket: ticket + ticket,
        lambda ticket: ticket[:-1],
        lambda _ticket: b"",
        lambda _ticket: pack(sql_message("TicketStatementQuery")),
        lambda _ticket: pack(sql_message("CommandGetCatalogs")),
        lambda ticket: ticket[:1] + b"\xc2\x00" + ticket[2:],  # a length spelt in two bytes
    ],
)
def test_ticket_written_in_another_way_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(InvalidTicketError):
        read_statement_ticket(change(statement_ticket(b"handle")))


def test_status_details_carry_the_reason() -> None:
    data = status_details(14, "x: y", reason="x", metadata={"retryable": "true"})
    assert read_status_details(data) == {"retryable": "true"}
    assert data.startswith(b"\x08\x0e\x12\x04x: y")
    assert read_status_details(b"\xff") == {}
    assert read_status_details(b"") == {}
