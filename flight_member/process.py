"""The life of a server process: it starts, serves, and stops by itself when it should."""

import logging
import os
import signal
import socket
import sys
import threading
from typing import NoReturn, Protocol

from flight_member.errors import StartupError
from flight_member.logs import get_logger

_log = get_logger(__name__)
STOP_DEADLINE_S = 4.0


class Server(Protocol):
    """What can be run until it is told to stop."""

    def start(self) -> str:
        """Start serving and return the URI."""

    def stop(self, deadline_s: float) -> None:
        """Stop serving; running streams get until the deadline."""


def require_free_port(host: str, port: int) -> None:
    """Check that a port can be listened on.

    Raises:
        StartupError: Naming the port, when it is taken or may not be used.
    """
    if port == 0:
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            fault = getattr(error, "strerror", None) or "cannot be used"
        else:
            return
    raise StartupError(f"port {port} on {host}: {fault}; choose another with --port")


def run_until_stopped(server: Server, *, with_parent: bool) -> NoReturn:
    """Serve until SIGINT, SIGTERM or, if asked, the end of the parent process; then exit with 0.

    Args:
        server: Started here and stopped here.
        with_parent: Stop when standard input ends, which it does when the parent dies however
            it dies; nothing is left behind then.
    """
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    uri = server.start()
    if with_parent:
        threading.Thread(target=_watch_parent, args=(stopping,), daemon=True).start()
        # The parent reads where its child answers from this one line.
        sys.stdout.write(f"serving {uri}\n")
        sys.stdout.flush()
    _log.info("serving", uri=uri)
    stopping.wait()
    _log.info("stopping")
    # Whatever hangs, the process ends: gRPC's own shutdown waits for running streams for ever.
    threading.Thread(target=_end_anyway, daemon=True).start()
    server.stop(STOP_DEADLINE_S / 2)
    logging.shutdown()
    sys.stdout.flush()
    # The engine's threads may still hold Python objects; taking the interpreter down under them
    # ends in a segmentation fault. Everything durable is written: leave without that.
    os._exit(0)


def _watch_parent(stopping: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stopping.set()


def _end_anyway() -> None:
    threading.Event().wait(STOP_DEADLINE_S)
    os._exit(0)
