"""A line between two processes that a test can slow down, cut, and mend: a proxy of TCP.

It listens on a port of its own, or on a Unix socket, and passes every byte on. What it does with
bytes is its mode, which may change while connections are open.
"""

import contextlib
import socket
import struct
import threading
import time
from enum import StrEnum
from typing import Self, TypeAlias

# Host and port, or the path of a Unix socket.
Address: TypeAlias = tuple[str, int] | str

_CHUNK = 1 << 16
_TICK_S = 0.05
_CONNECT_S = 5.0
# Closing so tells the other side with a reset, not with the end of a stream.
_RESET = struct.pack("ii", 1, 0)


class Line(StrEnum):
    """What the proxy does with connections and bytes."""

    PASS = "pass"
    DELAY = "delay"
    """Each chunk waits before it goes on."""
    CUT = "cut"
    """Open connections are reset, new ones too."""
    BLACKHOLE = "blackhole"
    """Connections are accepted and never answered; nothing moves on open ones."""
    HALF_OPEN = "half-open"
    """What the client says arrives, what the server answers does not."""


class Proxy:
    """Passes connections on to a target, until it is told otherwise."""

    def __init__(self, target: Address, listen: Address = ("127.0.0.1", 0)) -> None:
        """Listen at once.

        Args:
            target: Where connections go.
            listen: Where they are taken; port 0 takes a free one.
        """
        self.target = target
        self._line = Line.PASS
        self._delay_s = 0.0
        self._is_closed = False
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        family = _family(listen)
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        if family != socket.AF_UNIX:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(listen)
        self._listener.listen(128)
        self.address: Address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.address[1])

    def set(self, line: Line, delay_s: float = 0.0) -> None:
        """Change what happens to bytes from now on; what was held goes on when it passes again."""
        with self._changed:
            self._line, self._delay_s = line, delay_s
            self._changed.notify_all()
        if line is Line.CUT:
            self._reset_all()

    def close(self) -> None:
        """Stop listening and reset what is open."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._reset_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        if self._line is Line.CUT or not self._wait_to_pass(is_answer=False):
            _reset(client)
            return
        server = socket.socket(_family(self.target), socket.SOCK_STREAM)
        try:
            server.settimeout(_CONNECT_S)
            server.connect(self.target)
            server.settimeout(None)
        except OSError:
            _reset(client)
            server.close()
            return
        with self._changed:
            self._open |= {client, server}
        for source, sink, is_answer in ((client, server, False), (server, client, True)):
            arguments = (source, sink, is_answer)
            threading.Thread(target=self._pump, args=arguments, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        """Pass on what one side says to the other, and its end."""
        try:
            while data := source.recv(_CHUNK):
                if self._line is Line.DELAY:
                    time.sleep(self._delay_s)
                if not self._wait_to_pass(is_answer=is_answer):
                    break
                sink.sendall(data)
            else:
                # An end is told as late as bytes are.
                if self._wait_to_pass(is_answer=is_answer):
                    sink.shutdown(socket.SHUT_WR)
                    return
        except OSError:
            pass
        self._drop(source, sink)

    def _wait_to_pass(self, *, is_answer: bool) -> bool:
        """Wait while nothing moves this way; returns whether the connection goes on."""
        with self._changed:
            while not self._is_closed:
                held = self._line is Line.BLACKHOLE or (self._line is Line.HALF_OPEN and is_answer)
                if not held:
                    return self._line is not Line.CUT
                self._changed.wait(_TICK_S)
        return False

    def _reset_all(self) -> None:
        with self._changed:
            dropped = tuple(self._open)
        self._drop(*dropped)

    def _drop(self, *sockets: socket.socket) -> None:
        with self._changed:
            self._open -= set(sockets)
        for one in sockets:
            _reset(one)


def _reset(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        if one.family != socket.AF_UNIX:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # Wakes whoever reads it; without this a thread's read goes on though it is closed.
        one.shutdown(socket.SHUT_RD)
    one.close()


def _family(address: Address) -> socket.AddressFamily:
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET
