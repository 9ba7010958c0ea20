import socket

import pytest

from flight_member.errors import StartupError
from flight_member.process import require_free_port


def test_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match=f"port {port} on 127.0.0.1: .*--port"):
            require_free_port("127.0.0.1", port)
    require_free_port("127.0.0.1", port)


def test_port_zero_is_always_free() -> None:
    require_free_port("host.that.is.not.there.invalid", 0)


@pytest.mark.parametrize("host, port", [("127.0.0.1", 70_000), ("192.0.2.1", 4000)])
def test_port_that_cannot_be_listened_on_is_a_start_that_fails(host: str, port: int) -> None:
    with pytest.raises(StartupError, match=str(port)):
        require_free_port(host, port)
