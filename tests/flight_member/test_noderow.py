import socket
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from flight_member.clock import utc_now
from flight_member.jobs import Jobs
from flight_member.noderow import PERF_SCHEMA, NodeRow, perf_table
from flight_member.protocol import Heartbeat
from flight_member.sampling import NodeFacts, NodeSampler

FIRST_VERSION = {
    "node": "n1",
    "uri": "grpc://127.0.0.1:1",
    "is_leader": True,
    "cpu_percent": 1.5,
    "load_1m": 0.5,
    "memory_used_bytes": 1,
    "memory_total_bytes": 2,
    "disk_free_bytes": 3,
    "disk_total_bytes": 4,
    "running_statements": 0,
    "queued_statements": 0,
}


def make_sampler(*roots: Path, port: int = 32010, **changes: Any) -> NodeSampler:
    uri = f"grpc://example.org:{port}"
    facts = NodeFacts("n1", "single", "example.org", port, uri, 1, 2, roots)
    return NodeSampler(facts, Jobs("c", "n1", utc_now), utc_now, **changes)


def test_node_measures_itself(tmp_path: Path) -> None:
    ticks = [0.0]
    sampler = make_sampler(tmp_path, ticks=lambda: ticks[0])
    first = sampler.sample()
    assert first.disk_read_bytes_per_s is None
    assert first.heartbeat_latency_s is None
    ticks[0] = 5.0
    sampler.note_latency(0.5)
    sampler.note_latency(1.5)
    row = sampler.sample()
    assert 0 <= row.cpu_percent <= 100
    assert row.process_cpu_percent is not None
    assert row.network_send_bytes_per_s is not None
    assert row.network_send_last_minute_bytes is not None
    assert 0 < row.memory_used_bytes < row.memory_total_bytes
    assert row.process_memory_bytes
    assert row.disk_free_ratio == pytest.approx(row.disk_free_bytes / row.disk_total_bytes)
    assert (row.heartbeat_latency_s, row.heartbeat_latency_mean_s) == (1.5, 1.0)
    assert row.sampled_at == pytest.approx(time.time(), abs=60)


def test_file_system_of_several_roots_counts_once_and_a_missing_one_not_at_all(
    tmp_path: Path,
) -> None:
    one = make_sampler(tmp_path).sample().disk_total_bytes
    (tmp_path / "other").mkdir()
    roots = (tmp_path, tmp_path / "other", tmp_path / "missing")
    assert make_sampler(*roots).sample().disk_total_bytes == one
    assert make_sampler(tmp_path / "missing").sample().disk_free_ratio is None


def test_row_of_the_first_version_is_understood_and_a_newer_one_too() -> None:
    assert NodeRow(**FIRST_VERSION).mode == "single"
    assert NodeRow(**FIRST_VERSION, thought_of_later=1) == NodeRow(**FIRST_VERSION)


@pytest.mark.parametrize(
    "field, value",
    [
        ("cpu_percent", -1),
        ("cpu_percent", float("nan")),
        ("disk_free_bytes", 1 << 63),
        ("memory_used_bytes", -1),
        ("node", "n" * 256),
        ("sampled_at", 1e300),
        ("port", -5),
    ],
)
def test_row_that_no_column_could_hold_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        NodeRow(**(FIRST_VERSION | {field: value}))


def test_heartbeat_holds_a_bounded_number_of_rows() -> None:
    row = NodeRow(**FIRST_VERSION)
    with pytest.raises(ValidationError):
        Heartbeat(uri="", nodes=(row,) * 1025, report_version="", policy_epoch=0)


def test_rows_become_one_table_with_the_clusters_and_both_clocks() -> None:
    old = NodeRow(**FIRST_VERSION)
    table = perf_table(
        [("a", 100.5, [NodeRow(**FIRST_VERSION, sampled_at=7.25), old]), ("b", 200.0, [old])]
    )
    assert table.schema == PERF_SCHEMA
    table.validate(full=True)
    assert table["cluster_name"].to_pylist() == ["a", "a", "b"]
    stamps = [one.timestamp() for one in table["time_stamp"].to_pylist()]
    assert stamps == [7.25, 100.5, 200.0]
    assert [one.timestamp() for one in table["received_at"].to_pylist()] == [100.5, 100.5, 200.0]
    assert table["port"].to_pylist()[1:] == [None, None]
    assert perf_table([]).num_rows == 0


def test_every_column_has_a_type_and_those_that_may_lack_are_nullable() -> None:
    for name, field in NodeRow.model_fields.items():
        assert field.description, name
        if name != "sampled_at":
            assert PERF_SCHEMA.field(name).nullable is (field.default is None), name
    assert pa.types.is_timestamp(PERF_SCHEMA.field("time_stamp").type)


def test_connections_to_the_port_are_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        sampler = make_sampler(port=port)
        assert sampler.sample().connection_count == 0
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            assert sampler.sample().connection_count == 1
