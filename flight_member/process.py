"""The life of a server process: it starts, serves, and stops by itself when it should."""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn, Protocol

from flight_member.errors import StartupError
from flight_member.logs import get_logger

_log = get_logger(__name__)
# What a server gets after its streams' time to cut connections and close what it holds.
_CLOSING_S = 4.0
# Nobody is left to read the streams of a server whose parent died.
_ORPHAN_DRAIN_S = 2.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(Protocol):
    """What can be run until it is told to stop."""

    def start(self) -> str:
        """Start serving and return the URI."""

    def stop(self, deadline_s: float) -> None:
        """Stop serving; running streams get until the deadline."""

    def hurry(self) -> None:
        """Have a `stop` that is under way end the streams now. Never blocks."""


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


def run_until_stopped(server: Server, *, with_parent: bool, drain_timeout_s: float) -> NoReturn:
    """Serve until SIGINT, SIGTERM or, if asked, the end of the parent process; then exit with 0.

    Running streams get their time to end; a second signal ends them at once.

    Args:
        server: Started here and stopped here.
        with_parent: Stop when standard input ends, which it does when the parent dies however
            it dies; nothing is left behind then.
        drain_timeout_s: How long running streams get.
    """
    stopping, hurrying, orphaned = threading.Event(), threading.Event(), threading.Event()

    def stop() -> None:
        if stopping.is_set():
            hurrying.set()
            server.hurry()
        stopping.set()

    on_stop_signals(stop)
    uri = server.start()
    if with_parent:
        watch_parent(orphaned, stopping)
        # The parent reads where its child answers from this one line.
        sys.stdout.write(f"serving {uri}\n")
        sys.stdout.flush()
    _log.info("serving", uri=uri)
    stopping.wait()
    if orphaned.is_set():
        drain_timeout_s = min(drain_timeout_s, _ORPHAN_DRAIN_S)
    _log.info("stopping", drain_timeout_s=drain_timeout_s)
    # Whatever hangs, the process ends: gRPC's own shutdown waits for running streams for ever.
    threading.Thread(target=_end_anyway, args=(hurrying, drain_timeout_s), daemon=True).start()
    server.stop(drain_timeout_s)
    logging.shutdown()
    sys.stdout.flush()
    # The engine's threads may still hold Python objects; taking the interpreter down under them
    # ends in a segmentation fault. Everything durable is written: leave without that.
    os._exit(0)


def on_stop_signals(act: Callable[[], None]) -> None:
    """Have a thread of its own act on each SIGINT and SIGTERM from now on; main thread only.

    Python runs handlers in the main thread, when that next wakes: one that waits for a lock may
    miss the signal, or hold the very lock that the handler wants. The byte that Python writes for
    each signal is missed by nobody.
    """
    told, tells = socket.socketpair()
    tells.setblocking(False)
    signal.set_wakeup_fd(tells.detach(), warn_on_full_buffer=False)
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda *_: None)

    def watch() -> None:
        while number := told.recv(1):
            if number[0] in _STOP_SIGNALS:
                act()

    threading.Thread(target=watch, name="signal-watch", daemon=True).start()


def watch_parent(*events: threading.Event) -> None:
    """Set events, in their order, when standard input ends. Returns at once."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        for event in events:
            event.set()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _end_anyway(hurrying: threading.Event, drain_timeout_s: float) -> None:
    hurrying.wait(drain_timeout_s)
    time.sleep(_CLOSING_S)
    os._exit(0)
