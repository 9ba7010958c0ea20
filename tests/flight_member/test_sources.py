import pytest

from flight_member.sources import Sources, host_of
from flight_sql import Call


@pytest.mark.parametrize(
    "peer, host",
    [
        ("ipv4:10.0.0.7:40000", "10.0.0.7"),
        ("ipv6:%5B::1%5D:40000", "::1"),
        ("ipv6:[::1]:40000", "::1"),
        ("unix:", "unix:"),
        ("", ""),
    ],
)
def test_the_address_is_read_without_its_port(peer: str, host: str) -> None:
    assert host_of(peer) == host


@pytest.mark.parametrize(
    "trusted, peer, forwarded, expected",
    [
        ((), "10.0.0.7", "1.2.3.4", "10.0.0.7"),
        (("10.0.0.7",), "10.0.0.8", "1.2.3.4", "10.0.0.8"),
        (("10.0.0.0/24",), "10.0.0.7", "1.2.3.4", "1.2.3.4"),
        (("10.0.0.7",), "10.0.0.7", "", "10.0.0.7"),
        # What the client wrote itself stands before what the proxy saw.
        (("10.0.0.7",), "10.0.0.7", "9.9.9.9, 1.2.3.4", "1.2.3.4"),
        (("10.0.0.0/24",), "10.0.0.7", "9.9.9.9, 1.2.3.4, 10.0.0.9", "1.2.3.4"),
        (("10.0.0.7",), "10.0.0.7", "nonsense", "10.0.0.7"),
    ],
)
def test_a_trusted_proxy_names_the_address_that_it_saw(
    trusted: tuple[str, ...], peer: str, forwarded: str, expected: str
) -> None:
    call = Call(peer=f"ipv4:{peer}:4000", headers={"x-forwarded-for": forwarded})
    assert Sources(trusted).of(call) == expected


def test_a_handshake_has_no_address_whatever_it_says() -> None:
    assert Sources(("0.0.0.0/0",)).of(Call(headers={"x-forwarded-for": "1.2.3.4"})) == ""
