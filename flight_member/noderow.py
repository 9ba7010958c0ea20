"""What a heartbeat says of one node: each column with its unit and its meaning, in one place.

The page on heartbeats is made of the fields below, the Arrow columns follow from their types.
Fields are only ever added, with a default: a row of an older member lacks them, and what a node
cannot tell is None. Times in seconds and sizes in bytes, as the names say.
"""

from collections.abc import Iterable
from types import NoneType
from typing import Annotated, Any, get_args

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

_LAST_MOMENT_S = 253_402_300_799  # the end of the year 9999
_MOMENT = pa.timestamp("us", tz="UTC")

Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Amount = Annotated[float, Field(ge=0)]
# A member's word: what is longer is none of ours.
Word = Annotated[str, Field(max_length=255)]
_ARROW_TYPES: dict[type, pa.DataType] = {
    str: pa.utf8(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
}


def _column(meaning: str, unit: str = "", seed: str = "", **default: Any) -> Any:
    """Describe a column.

    Args:
        meaning: What the page says.
        unit: Of its values; empty for words and truth values.
        seed: The column of DolphinDB's getClusterPerf that it stands for, if any.
        default: The default, where older members do not send it.
    """
    return Field(description=meaning, json_schema_extra={"unit": unit, "seed": seed}, **default)


class NodeRow(BaseModel):
    """One node's row of a heartbeat."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    node: Word = _column(
        "the node's name; a member of one process has one node of its own name", seed="name"
    )
    host: Word = _column("the host that others are told", seed="host, publicName", default="")
    port: Count | None = _column("the port it listens on", seed="port", default=None)
    uri: Word = _column("where it answers", seed="site")
    mode: Word = _column(
        "`single`: front door and engine in one process; `node`: a data node; `mom`: the MoM "
        "itself",
        seed="mode",
        default="single",
    )
    state: Word = _column(
        "how the node is, as the leader of its cluster sees it: `alive`, `draining` (it takes no "
        "new work), `waiting` (it cannot read the cluster's tables yet) or `lost`",
        seed="state",
        default="alive",
    )
    is_leader: bool = _column("whether this node reports for its cluster", seed="isLeader")
    core_count: Count | None = _column(
        "processor cores of the host, and so the threads that run one statement",
        "cores",
        "workerNum",
        default=None,
    )
    cpu_percent: Amount = _column(
        "use of the host's cores since the heartbeat before", "% of all cores", "cpuUsage"
    )
    process_cpu_percent: Amount | None = _column(
        "the same, of this process alone", "% of all cores", default=None
    )
    load_1m: Amount = _column(
        "processes of the host that ran or waited to, over the last minute", "processes", "avgLoad"
    )
    memory_used_bytes: Count = _column("memory of the host that is in use", "bytes")
    memory_total_bytes: Count = _column("memory of the host", "bytes")
    process_memory_bytes: Count | None = _column(
        "memory that this process holds", "bytes", "memoryUsed, memoryAlloc", default=None
    )
    memory_limit_bytes: Count | None = _column(
        "memory that its engine takes before it spills to disk (`limits.memory_limit_mib`)",
        "bytes",
        "maxMemSize",
        default=None,
    )
    disk_total_bytes: Count = _column(
        "capacity of the file systems that tables lie on, each counted once",
        "bytes",
        "diskCapacity",
    )
    disk_free_bytes: Count = _column("free space there", "bytes", "diskFreeSpace")
    disk_free_ratio: Amount | None = _column(
        "free space there, of the capacity", "0 to 1", "diskFreeSpaceRatio", default=None
    )
    disk_read_bytes_per_s: Amount | None = _column(
        "read from the host's disks since the heartbeat before",
        "bytes per second",
        "diskReadRate",
        default=None,
    )
    disk_write_bytes_per_s: Amount | None = _column(
        "written to the host's disks since the heartbeat before",
        "bytes per second",
        "diskWriteRate",
        default=None,
    )
    disk_read_last_minute_bytes: Count | None = _column(
        "read from the host's disks in the last minute",
        "bytes",
        "lastMinuteReadVolume",
        default=None,
    )
    disk_write_last_minute_bytes: Count | None = _column(
        "written to the host's disks in the last minute",
        "bytes",
        "lastMinuteWriteVolume",
        default=None,
    )
    network_send_bytes_per_s: Amount | None = _column(
        "sent by the host since the heartbeat before",
        "bytes per second",
        "networkSendRate",
        default=None,
    )
    network_receive_bytes_per_s: Amount | None = _column(
        "received by the host since the heartbeat before",
        "bytes per second",
        "networkRecvRate",
        default=None,
    )
    network_send_last_minute_bytes: Count | None = _column(
        "sent by the host in the last minute", "bytes", "lastMinuteNetworkSend", default=None
    )
    network_receive_last_minute_bytes: Count | None = _column(
        "received by the host in the last minute", "bytes", "lastMinuteNetworkRecv", default=None
    )
    connection_count: Count | None = _column(
        "connections that are open to its port", "connections", "connectionNum", default=None
    )
    running_statements: Count = _column(
        "statements that run", "statements", "runningJobs, runningTasks"
    )
    queued_statements: Count = _column(
        "statements that wait for a place", "statements", "queuedJobs, queuedTasks"
    )
    max_running_statements: Count | None = _column(
        "how many may run at once (`limits.max_running`)", "statements", default=None
    )
    median_last_10_s: Amount | None = _column(
        "median time of the last 10 statements that ended",
        "seconds",
        "medLast10QueryTime",
        default=None,
    )
    max_last_10_s: Amount | None = _column(
        "longest time of the last 10 statements that ended",
        "seconds",
        "maxLast10QueryTime",
        default=None,
    )
    median_last_100_s: Amount | None = _column(
        "median time of the last 100 statements that ended",
        "seconds",
        "medLast100QueryTime",
        default=None,
    )
    max_last_100_s: Amount | None = _column(
        "longest time of the last 100 statements that ended",
        "seconds",
        "maxLast100QueryTime",
        default=None,
    )
    longest_running_s: Amount | None = _column(
        "how long the longest of the running statements has run",
        "seconds",
        "maxRunningQueryTime",
        default=None,
    )
    heartbeat_latency_s: Amount | None = _column(
        "how long the MoM took to answer the heartbeat before",
        "seconds",
        "lastMsgLatency",
        default=None,
    )
    heartbeat_latency_mean_s: Amount | None = _column(
        "the mean of that since the node started", "seconds", "cumMsgLatency", default=None
    )
    sampled_at: Annotated[float, Field(ge=0, le=_LAST_MOMENT_S)] | None = Field(
        default=None, description="when it was measured, by the node's clock; see `time_stamp`"
    )


ENVELOPE = (
    ("cluster_name", pa.utf8(), "", "the cluster that the node belongs to"),
    ("time_stamp", _MOMENT, "UTC", "when the row was measured, by the node's own clock"),
    ("received_at", _MOMENT, "UTC", "when the MoM took it, by the MoM's clock"),
)
"""What the MoM adds to each row: name, type, unit, meaning."""
_ENVELOPED = {"sampled_at"}


def _arrow_type(annotation: Any) -> pa.DataType:
    kinds = [one for one in get_args(annotation) or (annotation,) if one is not NoneType]
    kind = get_args(kinds[0])[0] if get_args(kinds[0]) else kinds[0]
    return _ARROW_TYPES[kind]


_NAMES = tuple(name for name in NodeRow.model_fields if name not in _ENVELOPED)
PERF_SCHEMA = pa.schema(
    [
        *(pa.field(name, kind, nullable=False) for name, kind, _, _ in ENVELOPE),
        *(
            pa.field(
                name,
                _arrow_type(NodeRow.model_fields[name].annotation),
                nullable=NodeRow.model_fields[name].default is None,
            )
            for name in _NAMES
        ),
    ]
)
"""`{cluster_name: utf8, time_stamp: timestamp, received_at: timestamp, …}`, one row per node."""


def perf_table(beats: Iterable[tuple[str, float, Iterable[NodeRow]]]) -> pa.Table:
    """Return the rows of some heartbeats as one table of `PERF_SCHEMA`; it may be empty.

    Args:
        beats: Of each the cluster, when it was received in seconds since the epoch, and its rows.
    """
    clusters: list[str] = []
    received: list[float] = []
    rows: list[NodeRow] = []
    for cluster, received_at, nodes in beats:
        for row in nodes:
            clusters.append(cluster)
            received.append(received_at)
            rows.append(row)
    stamps = [
        at if row.sampled_at is None else row.sampled_at
        for row, at in zip(rows, received, strict=True)
    ]
    # By column and not by row: the attributes of a model are looked up in one dictionary each.
    values = [row.__dict__ for row in rows]
    columns = [
        pa.array(clusters, pa.utf8()),
        _moments(stamps),
        _moments(received),
        *(pa.array([one[name] for one in values], PERF_SCHEMA.field(name).type) for name in _NAMES),
    ]
    return pa.table(columns, schema=PERF_SCHEMA)


def _moments(seconds: Iterable[float]) -> pa.Array:
    return pa.array([round(one * 1_000_000) for one in seconds], pa.int64()).cast(_MOMENT)
