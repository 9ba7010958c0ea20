"""A backend over Arrow tables in memory, with statements of its own that do one thing each.

`SELECT <table>` answers a table; `FAIL <status> [<code>]` raises; `UPDATE <n>` counts; `SLOW` never
ends; `LATE <status>` raises after the first batch.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from flight_sql import (
    Call,
    CancelStatus,
    Endpoint,
    Ingest,
    InvalidTicketError,
    OptionError,
    OptionValue,
    Prepared,
    ResultStream,
    StatementInfo,
    TableEntry,
    TableFilter,
    WireTypes,
)

STATUSES = (
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "UNIMPLEMENTED",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "CANCELLED",
    "INTERNAL",
)


class RefusedError(Exception):
    """A coded error of a made-up package: only code and status make it one."""

    retryable = True

    def __init__(self, status: str, code: str = "") -> None:
        self.code = code or f"refused-{status.lower().replace('_', '-')}"
        self.status = status
        super().__init__(f"{self.code}: ask for {status} no more")


class SecretError(Exception):
    """Something that must never reach a client."""


def raise_status(status: str) -> None:
    if status == "SECRET":
        inner = SecretError("/etc/secret/path of the inner error")
        raise ValueError("/var/lib/secret of the outer error") from inner
    status, _, code = status.partition(" ")
    raise RefusedError(status, code)


class TickingBatches:
    """An endless iterator that knows whether it was closed."""

    def __init__(self, call: Call, batch: pa.RecordBatch, pause_s: float) -> None:
        self._call, self._batch, self._pause_s = call, batch, pause_s
        self.closed_at: float | None = None
        self.count = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self

    def __next__(self) -> pa.RecordBatch:
        until = time.monotonic() + self._pause_s
        while time.monotonic() < until:
            if self._call.is_cancelled():
                raise StopIteration
            time.sleep(0.01)
        self.count += 1
        return self._batch

    def close(self) -> None:
        self.closed_at = time.monotonic()


class MemoryBackend:
    server_name = "memory"
    server_version = "1.2.3"
    open_actions = frozenset({"Join", "FailToJoin"})

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self.tables = dict(tables)
        self.updates: list[str] = []
        self.options: list[Mapping[str, OptionValue]] = []
        self.bound: list[pa.RecordBatch] = []
        self.executed: list[pa.RecordBatch | None] = []
        self.streams: list[TickingBatches] = []
        self.calls: list[Call] = []
        self.locations: tuple[str, ...] = ()
        self.expires_at: datetime | None = None
        self.cancelled: list[str] = []
        self.ingested: list[tuple[Ingest, pa.Table]] = []
        self.cancel_statuses: dict[str, CancelStatus] = {}
        self.batch_rows: int | None = None
        self.pause_s = 0.01

    def prepare(self, call: Call, sql: str) -> Prepared:
        self.calls.append(call)
        if sql.startswith("UPDATE"):
            return Prepared(b"prepared:" + sql.encode(), None, is_update=True)
        return Prepared(
            b"prepared:" + sql.encode(),
            self.describe(call, sql),
            parameter_schema=pa.schema([("1", pa.int64())]) if "?" in sql else None,
        )

    def open_prepared(self, _call: Call, handle: bytes) -> tuple[str, pa.RecordBatch | None]:
        if not handle.startswith(b"prepared:"):
            raise InvalidTicketError("not a prepared statement of this server")
        sql, _, bound = handle.removeprefix(b"prepared:").partition(b"|")
        return sql.decode(), pa.ipc.open_stream(bound).read_next_batch() if bound else None

    def bind(self, call: Call, handle: bytes, values: pa.RecordBatch) -> bytes:
        sql, _ = self.open_prepared(call, handle)
        self.bound.append(values)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, values.schema) as writer:
            writer.write_batch(values)
        return b"prepared:" + sql.encode() + b"|" + bytes(sink.getvalue())

    def describe(self, _call: Call, sql: str, _values: pa.RecordBatch | None = None) -> pa.Schema:
        verb, _, rest = sql.partition(" ")
        if verb == "FAIL":
            raise_status(rest)
        if verb in {"SLOW", "LATE"}:
            return self.tables["quote"].schema
        if rest not in self.tables:
            raise RefusedError("NOT_FOUND")
        return self.tables[rest].schema

    def execute(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> StatementInfo:
        self.calls.append(call)
        self.executed.append(values)
        if sql.startswith("UPDATE"):
            return StatementInfo(pa.schema([]), (), self.update(call, sql))
        schema = self.describe(call, sql)
        wire = call.profile.wire
        handle = _signed(sql if wire is WireTypes.SAFE else f"{_AS}{wire} {sql}")
        return StatementInfo(schema, [Endpoint(handle, self.locations, self.expires_at)])

    def update(self, _call: Call, sql: str, values: pa.RecordBatch | None = None) -> int:
        self.executed.append(values)
        verb, _, rest = sql.partition(" ")
        if verb == "FAIL":
            raise_status(rest)
        self.updates.append(sql)
        count = int(rest)
        return count if values is None or count < 0 else count * values.num_rows

    def ingest(self, _call: Call, ingest: Ingest, batches: Iterator[pa.RecordBatch]) -> int:
        if ingest.table.startswith("FAIL"):
            raise_status(ingest.table.partition(" ")[2])
        rows = pa.Table.from_batches(list(batches), ingest.arrow_schema)
        self.ingested.append((ingest, rows))
        return int(rows.num_rows)

    def open(self, call: Call, handle: bytes) -> ResultStream:
        self.calls.append(call)
        sql = _verified(handle)
        wire = WireTypes.SAFE
        if sql.startswith(_AS):
            named, _, sql = sql.removeprefix(_AS).partition(" ")
            wire = WireTypes(named)
        verb, _, rest = sql.partition(" ")
        if verb == "OPENFAIL":
            raise_status(rest)
        if verb == "LATE":
            return ResultStream(self.tables["quote"].schema, self._late(rest))
        if verb == "SLOW":
            table = self.tables[rest or "quote"]
            batch = table.to_batches()[0]
            stream = TickingBatches(call, batch, self.pause_s)
            self.streams.append(stream)
            return ResultStream(table.schema, stream)
        table = self.tables[rest]
        batches = iter(table.to_batches(max_chunksize=self.batch_rows))
        return ResultStream(table.schema, batches, wire)

    def _late(self, status: str) -> Iterator[pa.RecordBatch]:
        yield from self.tables["quote"].to_batches()
        raise_status(status)

    def cancel(self, call: Call, handle: bytes) -> CancelStatus:
        self.calls.append(call)
        sql = _verified(handle)
        self.cancelled.append(sql)
        return self.cancel_statuses.get(sql, CancelStatus.CANCELLED)

    def renew(self, call: Call, handle: bytes) -> Endpoint:
        self.calls.append(call)
        return Endpoint(_signed(_verified(handle)), self.locations, self.expires_at)

    def session_options(self, call: Call) -> Mapping[str, str]:
        return dict(pair.split(":") for pair in (call.session or "").split(",") if ":" in pair)

    def set_session_options(
        self, call: Call, options: Mapping[str, OptionValue]
    ) -> Mapping[str, OptionError]:
        self.options.append(options)
        kept = {**self.session_options(call), **options}
        texts = {name: value for name, value in kept.items() if isinstance(value, str)}
        call.keep_session(",".join(f"{name}:{value}" for name, value in texts.items()) or "new")
        return {"odd": OptionError.INVALID_NAME} if "odd" in options else {}

    def catalogs(self, _call: Call) -> Iterable[str]:
        return ["trading@hangzhou", "monitor", "trading@hangzhou"]

    def schemas(self, _call: Call, wanted: TableFilter) -> Iterable[tuple[str, str]]:
        pairs = [("trading@hangzhou", "stock"), ("monitor", "heartbeat")]
        return [pair for pair in pairs if wanted.takes_schema(*pair)]

    def list_tables(
        self, _call: Call, wanted: TableFilter, *, include_schema: bool
    ) -> Iterable[TableEntry]:
        quote = self.tables["quote"].schema if include_schema else pa.schema([])
        for catalog, schema, name, kind in (
            ("trading@hangzhou", "stock", "quote", "TABLE"),
            ("trading@hangzhou", "stock", "my_view", "VIEW"),
            ("monitor", "heartbeat", "cluster_perf", "TABLE"),
        ):
            if wanted.takes(catalog, schema, name, kind):
                yield TableEntry(catalog, schema, name, kind, quote, 3)

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        return {
            "Join": self._echo,
            "Heartbeat": self._echo,
            "Fail": self._fail,
            "FailToJoin": self._fail,
        }

    def _echo(self, call: Call, body: bytes) -> bytes:
        return body + str(call.identity).encode()

    def _fail(self, _call: Call, body: bytes) -> bytes:
        raise_status(body.decode())
        return b""


class MemoryAuthenticator:
    """Knows alice/wonderland; tokens are `token-of-<user>-<generation>`."""

    def __init__(self) -> None:
        self.renewed: str | None = None
        self.failure: str | None = None
        self.confirmed = ""
        self.agent = ""
        self.told: list[tuple[str, str]] = []

    def sign_in(self, user: str, password: str, call: Call) -> str:
        self.agent = call.headers.get("user-agent", "")
        if (user, password) != ("alice", "wonder:land"):
            raise RefusedError("UNAUTHENTICATED")
        return f"token-of-{user}-1"

    def authenticate(self, token: str, _peer: str) -> str:
        if self.failure is not None:
            raise_status(self.failure)
        if not token.startswith("token-of-"):
            raise RefusedError("UNAUTHENTICATED")
        return token.split("-")[2]

    def confirm(self, call: Call) -> None:
        self.confirmed = call.peer

    def exchange(self, token: str, _call: Call) -> str:
        return token

    def refused(self, call: Call, error: Exception) -> None:
        self.told.append((call.peer, str(getattr(error, "code", ""))))

    def renew(self, _token: str, _identity: Any) -> str | None:
        return self.renewed


_AS = "AS "
_KEY = b"a key for tests"


def _signed(sql: str) -> bytes:
    return hmac.digest(_KEY, sql.encode(), hashlib.sha256) + sql.encode()


def signed(sql: str) -> bytes:
    """The handle that this backend opens for a statement it would refuse to accept."""
    return _signed(sql)


def _verified(handle: bytes) -> str:
    mac, sql = handle[:32], handle[32:]
    if not hmac.compare_digest(mac, hmac.digest(_KEY, sql, hashlib.sha256)):
        raise InvalidTicketError("the signature does not fit")
    return sql.decode()
