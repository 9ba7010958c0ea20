"""The proxy that stands between processes under test does to them what it says."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy import Address, Line, Proxy


def _echo(listener: socket.socket) -> None:
    """Answer every byte with itself, on each connection in a thread of its own."""

    def answer(one: socket.socket) -> None:
        with one:
            try:
                while data := one.recv(100):
                    one.sendall(data)
            except OSError:
                pass  # reset, as it should be

    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(accepted,), daemon=True).start()


@pytest.fixture
def target() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_echo, args=(listener,), daemon=True).start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(target: Address) -> Iterator[Proxy]:
    with Proxy(target) as proxy:
        yield proxy


def _connect(proxy: Proxy, timeout_s: float = 20) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout_s)


def _says(one: socket.socket, data: bytes) -> bytes:
    one.sendall(data)
    return one.recv(100)


def test_what_is_said_is_passed_on_both_ways_and_its_end_too(proxy: Proxy) -> None:
    with _connect(proxy) as one:
        assert _says(one, b"hello") == b"hello"
        one.shutdown(socket.SHUT_WR)
        assert one.recv(1) == b""


def test_delayed_bytes_arrive(proxy: Proxy) -> None:
    proxy.set(Line.DELAY, 0.1)
    with _connect(proxy) as one:
        assert _says(one, b"late") == b"late"


def test_cut_line_resets_what_is_open_and_what_comes(proxy: Proxy) -> None:
    with _connect(proxy) as one:
        assert _says(one, b"a") == b"a"
        proxy.set(Line.CUT)
        with pytest.raises(ConnectionError):
            _says(one, b"b") or _says(one, b"c")
        with pytest.raises(ConnectionError), _connect(proxy) as other:
            _says(other, b"d") or _says(other, b"e")
    proxy.set(Line.PASS)
    with _connect(proxy) as again:
        assert _says(again, b"f") == b"f"


def test_blackhole_accepts_and_holds_all_until_it_passes_again(proxy: Proxy) -> None:
    with _connect(proxy) as one:
        assert _says(one, b"a") == b"a"
        proxy.set(Line.BLACKHOLE)
        with _connect(proxy, 0.3) as other:
            for silent in (one, other):
                silent.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    _says(silent, b"b")
                silent.settimeout(20)
            proxy.set(Line.PASS)
            assert one.recv(1) == other.recv(1) == b"b"


def test_half_open_line_carries_questions_and_no_answers() -> None:
    heard = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, Proxy(listener.getsockname()) as proxy:

        def hear() -> None:
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.recv(1) == b"q"
                accepted.sendall(b"a")
                heard.set()
                accepted.recv(1)

        thread = threading.Thread(target=hear, daemon=True)
        thread.start()
        proxy.set(Line.HALF_OPEN)
        with _connect(proxy, 0.3) as one:
            with pytest.raises(TimeoutError):
                _says(one, b"q")
            assert heard.wait(20)
            one.settimeout(20)
            proxy.set(Line.PASS)
            assert one.recv(1) == b"a"
        thread.join(20)
        assert not thread.is_alive()


def test_target_that_is_away_is_a_reset_and_may_come_later(tmp_path: Path) -> None:
    """And both ends may be Unix sockets."""
    target, listen = str(tmp_path / "target"), str(tmp_path / "listen")
    with Proxy(target, listen):
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(20)
            one.connect(listen)
            assert one.recv(1) == b""
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as one:
            listener.bind(target)
            listener.listen()
            threading.Thread(target=_echo, args=(listener,), daemon=True).start()
            one.settimeout(20)
            one.connect(listen)
            assert _says(one, b"x") == b"x"
            listener.shutdown(socket.SHUT_RDWR)
