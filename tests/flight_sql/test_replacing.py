import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest

from flight_sql import Client, FlightSqlServer, RemoteError, ReplaceableServer, TlsFiles
from flight_sql.replacing import is_free
from tests.flight_sql.conftest import TOKEN
from tests.flight_sql.factories import make_tls_files
from tests.flight_sql.memory_backend import MemoryAuthenticator, MemoryBackend
from tests.ports import spare_port
from tests.waiting import wait_until

LOCALHOST = ("127.0.0.1", "::1")


@contextmanager
def serving(backend: MemoryBackend, tls: TlsFiles | None = None) -> Iterator[ReplaceableServer]:
    server = ReplaceableServer(
        lambda port: FlightSqlServer(
            backend, MemoryAuthenticator(), host="localhost", port=port, tls=tls
        ),
        spare_port(),
    )
    server.start()
    try:
        yield server
    finally:
        assert server.drain_and_stop(5)


def test_running_stream_goes_on_while_its_server_is_replaced(backend: MemoryBackend) -> None:
    big = pa.table({"n": list(range(1_000_000))})
    backend.tables["big"], backend.batch_rows = big, 20_000
    with serving(backend) as server, Client(server.uri, token=TOKEN) as client:
        rows = client.query("SELECT big")
        first = next(rows)
        port = server.port
        for _ in range(3):
            server.replace()
        assert server.port == port
        with Client(server.uri, token=TOKEN) as other:
            assert other.catalogs()
        assert first.num_rows + rows.read_all().num_rows == big.num_rows
        # Whoever was connected connects again by themselves.
        assert client.catalogs()


def test_every_call_of_a_busy_client_is_answered_or_can_be_repeated(backend: MemoryBackend) -> None:
    done = threading.Event()
    failures: list[RemoteError] = []
    answered = 0

    def ask(uri: str) -> None:
        nonlocal answered
        with Client(uri, token=TOKEN) as client:
            while not done.is_set():
                try:
                    client.catalogs()
                    answered += 1
                except RemoteError as error:
                    failures.append(error)

    with serving(backend) as server:
        asking = threading.Thread(target=ask, args=(server.uri,), daemon=True)
        asking.start()
        for _ in range(3):
            before = answered
            server.replace()
            wait_until(lambda: answered >= before + 5, 60)  # noqa: B023  before it changes
        done.set()
        asking.join(10)
    assert answered >= 15
    assert {failure.status for failure in failures} <= {"UNAVAILABLE", "CANCELLED"}


def test_successor_listens_at_every_address_of_its_host(backend: MemoryBackend) -> None:
    with serving(backend) as server:
        listened = [address for address in LOCALHOST if answers(address, server.port)]
        assert listened
        for _ in range(5):
            server.replace()
            assert [one for one in LOCALHOST if answers(one, server.port)] == listened


def test_port_is_free_when_no_address_of_the_host_is_listened_on() -> None:
    port = spare_port()
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free("localhost", port)
        assert not is_free("127.0.0.1", port)
    assert is_free("localhost", port)


def answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 5).close()
    except OSError:
        return False
    return True


def test_successor_has_the_certificate_of_its_time(backend: MemoryBackend, tmp_path: Path) -> None:
    tls = make_tls_files(tmp_path)
    with serving(backend, tls) as server:
        old = ssl.get_server_certificate(("localhost", server.port), timeout=5)
        renewed = make_tls_files(tmp_path)
        assert ssl.get_server_certificate(("localhost", server.port), timeout=5) == old
        server.replace()
        assert ssl.get_server_certificate(("localhost", server.port), timeout=5) != old
        roots = renewed.certificate.read_bytes()
        with Client(server.uri, token=TOKEN, tls_root_certs=roots) as client:
            assert client.catalogs()


def test_stop_ends_the_streams_of_replaced_servers_too(backend: MemoryBackend) -> None:
    with serving(backend) as server, Client(server.uri, token=TOKEN) as client:
        rows = client.query("SLOW")
        next(rows)
        server.replace()
        next(rows)
        server.drain_and_stop(0.5)
        with pytest.raises(RemoteError) as ended:
            deque(islice(rows, 10_000), maxlen=0)
        assert ended.value.status in {"UNAVAILABLE", "CANCELLED"}
