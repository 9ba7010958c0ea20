import socket
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

from flight_sql import Client, FlightSqlServer, RemoteError, TlsFiles
from flight_sql.messages import pack, sql_message
from tests.flight_sql.conftest import TOKEN
from tests.flight_sql.factories import make_tls_files
from tests.flight_sql.memory_backend import MemoryAuthenticator, MemoryBackend
from tests.waiting import wait_until


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    return make_tls_files(tmp_path)


def _server(backend: MemoryBackend) -> FlightSqlServer:
    server = FlightSqlServer(backend, MemoryAuthenticator())
    server.start()
    return server


def _call_for(client: Client, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        client.catalogs()


def test_calls_before_the_start_are_unavailable(backend: MemoryBackend) -> None:
    server = FlightSqlServer(backend, MemoryAuthenticator())
    with Client(server.uri, token=TOKEN) as client:
        with pytest.raises(RemoteError, match="cluster-unavailable: the server is starting") as no:
            client.catalogs()
        assert (no.value.status, no.value.retryable) == ("UNAVAILABLE", True)
        server.start()
        assert client.catalogs()
    assert server.drain_and_stop(1)


def test_drain_lets_running_streams_end(backend: MemoryBackend) -> None:
    server = _server(backend)
    big = pa.table({"n": list(range(1_000_000))})
    backend.tables["big"], backend.batch_rows = big, 20_000
    with Client(server.uri, token=TOKEN) as client:
        rows = client.query("SELECT big")
        first = next(rows)
        draining = threading.Thread(target=server.drain_and_stop, args=(20,))
        draining.start()
        rest = rows.read_all()
        draining.join(10)
        assert not draining.is_alive()
    assert first.num_rows + rest.num_rows == big.num_rows
    assert server.wait_until_stopped(0)


def test_drain_refuses_new_calls(backend: MemoryBackend) -> None:
    server = _server(backend)
    with Client(server.uri, token=TOKEN) as client:
        rows = client.query("SLOW")
        next(rows)
        draining = threading.Thread(target=server.drain_and_stop, args=(20,))
        draining.start()
        # A call may still slip in before the flag is up; none does for long.
        with pytest.raises(RemoteError) as refused:
            _call_for(client, seconds=5)
        assert refused.value.status == "UNAVAILABLE"
        rows.close()
        draining.join(10)
        assert not draining.is_alive()


def test_drain_ends_an_endless_stream_at_its_deadline(backend: MemoryBackend) -> None:
    server = _server(backend)
    with Client(server.uri, token=TOKEN) as client:
        rows = client.query("SLOW")
        next(rows)
        ended: list[float] = []

        def read() -> None:
            with pytest.raises(RemoteError, match="cluster-unavailable"):
                for _ in rows:
                    pass
            ended.append(time.monotonic())

        reading = threading.Thread(target=read)
        reading.start()
        started = time.monotonic()
        assert server.drain_and_stop(0.5)
        assert 0.4 < time.monotonic() - started < 3
        reading.join(5)
        assert ended
    assert backend.streams[0].closed_at is not None


def test_drain_ends_a_stream_whose_client_does_not_read(backend: MemoryBackend) -> None:
    server = _server(backend)
    backend.tables["large"] = pa.table({"n": list(range(500_000))})
    backend.pause_s = 0
    with Client(server.uri, token=TOKEN) as client:
        rows = client.query("SLOW large")
        next(rows)
        # The writer is stuck when the count stands still.
        count = -1
        while count != backend.streams[0].count:
            count = backend.streams[0].count
            time.sleep(0.3)
        started = time.monotonic()
        assert server.drain_and_stop(0.5)
        assert time.monotonic() - started < 4
        assert backend.streams[0].closed_at is not None
        del rows


def test_drain_wakes_a_backend_that_waits(backend: MemoryBackend) -> None:
    server = _server(backend)
    backend.pause_s = 60
    with Client(server.uri, token=TOKEN) as client:
        rows = client.query("SLOW")
        while not backend.streams:
            time.sleep(0.005)
        started = time.monotonic()
        assert server.drain_and_stop(0.3)
        assert time.monotonic() - started < 3
        del rows


def test_draining_leaves_other_servers_of_the_process_alone(
    backend: MemoryBackend, client: Client
) -> None:
    other = _server(MemoryBackend(backend.tables))
    with Client(other.uri, token=TOKEN) as second:
        rows = second.query("SLOW quote")
        next(rows)
        kept = client.query("SLOW quote")
        next(kept)
        assert other.drain_and_stop(0)
        assert next(kept).num_rows == 3
        kept.close()


def test_tls_server_is_read_by_those_who_trust_it(backend: MemoryBackend, tls: TlsFiles) -> None:
    server = FlightSqlServer(backend, MemoryAuthenticator(), host="localhost", tls=tls)
    server.start()
    assert server.uri == f"grpc+tls://localhost:{server.port}"
    roots = tls.certificate.read_bytes()
    with Client(server.uri, token=TOKEN, tls_root_certs=roots) as client:
        assert client.catalogs() == ["monitor", "trading@hangzhou"]
    with (
        Client(server.uri, token=TOKEN) as stranger,
        pytest.raises(RemoteError, match="cluster-unavailable"),
    ):
        stranger.catalogs()
    assert server.drain_and_stop(1)


def test_token_does_not_leave_an_encrypted_connection_for_a_plain_one(
    backend: MemoryBackend, tls: TlsFiles
) -> None:
    server = FlightSqlServer(backend, MemoryAuthenticator(), host="localhost", tls=tls)
    server.start()
    with socket.create_server(("127.0.0.1", 0)) as eavesdropper:
        eavesdropper.settimeout(0.2)
        backend.locations = (f"grpc://127.0.0.1:{eavesdropper.getsockname()[1]}",)
        roots = tls.certificate.read_bytes()
        with (
            Client(server.uri, token=TOKEN, tls_root_certs=roots) as client,
            pytest.raises(RemoteError, match="plaintext"),
        ):
            client.query("SELECT quote")
        with pytest.raises(TimeoutError):
            eavesdropper.accept()
    assert server.drain_and_stop(1)


def test_sql_info_can_be_the_servers_own(backend: MemoryBackend) -> None:
    server = FlightSqlServer(backend, MemoryAuthenticator(), sql_info={3: False})
    server.start()
    with Client(server.uri, token=TOKEN) as client:
        rows = client._reader(pack(sql_message("CommandGetSqlInfo", info=[3])), None, ())[0]
        assert rows.read_chunk().data.to_pylist() == [{"info_name": 3, "value": False}]
    assert server.drain_and_stop(1)


def test_every_call_is_counted_until_it_ends(server: FlightSqlServer, client: Client) -> None:
    with Client(server.uri) as stranger:
        with pytest.raises(RemoteError):
            stranger.sign_in("alice", "wrong")
        stranger.sign_in("alice", "wonder:land")
    with pytest.raises(RemoteError):
        client.query("FAIL NOT_FOUND")
    with pytest.raises(RemoteError):
        client.open_ticket(b"forged").read_all()
    client.tables()
    client.update("UPDATE 1")
    client.action("Heartbeat")
    with client.query("SLOW") as rows:
        next(rows)
        assert server._running.count == 1
    over_at = time.monotonic() + 5
    assert server._running.wait_for_none(lambda: over_at - time.monotonic())


def test_one_call_too_many_is_refused_and_may_be_tried_again(backend: MemoryBackend) -> None:
    server = FlightSqlServer(backend, MemoryAuthenticator(), max_calls=1)
    server.start()
    with Client(server.uri, token=TOKEN) as client:
        stream = client.query("SLOW")
        next(stream)
        with pytest.raises(RemoteError, match=r"^overloaded: 1 calls are being answered") as caught:
            client.query("SELECT quote")
        assert caught.value.retryable
        stream.close()
        wait_until(lambda: server.running_count == 0)
        assert client.query("SELECT quote").read_all().num_rows == 3
    assert server.drain_and_stop(2)


def test_one_caller_has_half_of_the_calls_at_most(backend: MemoryBackend) -> None:
    server = FlightSqlServer(backend, MemoryAuthenticator(), max_calls=2)
    server.start()
    with Client(server.uri, token=TOKEN) as client, Client(server.uri) as other:
        stream = client.query("SLOW")
        next(stream)
        with pytest.raises(RemoteError, match=r"^overloaded: 1 calls are being answered"):
            client.query("SELECT quote")
        # Somebody else's call is judged, and not for what others do.
        with pytest.raises(RemoteError, match=r"^refused-unauthenticated"):
            other.query("SELECT quote", token="of-somebody-else")
        stream.close()
    assert server.drain_and_stop(2)
