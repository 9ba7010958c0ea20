import signal
import socket
import subprocess
import sys

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


WAITING = """
import threading
from flight_member.process import on_stop_signals

told = threading.Semaphore(0)
on_stop_signals(told.release)
print("ready", flush=True)
for _ in range(2):
    told.acquire()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_each_signal_is_acted_on_while_the_main_thread_waits_for_a_lock(
    number: signal.Signals,
) -> None:
    with subprocess.Popen(  # noqa: S603  our own text
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(number)
        assert process.wait(10) == 0
