"""The operator of a member who keeps what callers bring: whom `direct` trusts not to."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyarrow import flight

from flight_member import protocol
from flight_member.authority import service_token
from flight_mom.demo.federation import MOM
from flight_sql import Client
from tests.e2e.federation import member_key
from tests.security.guest import Guest

ANSWER = 7
_ROWS = pa.Table.from_pydict(
    {"n": [ANSWER]}, schema=pa.schema([pa.field("n", pa.int64(), nullable=False)])
)


class _Listener(flight.ServerMiddlewareFactory):  # type: ignore[misc]  # pyarrow ships no types
    def __init__(self) -> None:
        self.bearers: list[str] = []

    def start_call(self, _info: Any, headers: dict[str, list[str]]) -> None:
        self.bearers += [one.removeprefix("Bearer ") for one in headers.get("authorization", ())]


class Recorder(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow ships no types
    """Answers every ticket with a number, and keeps the token of every call."""

    def __init__(self) -> None:
        self._listener = _Listener()
        super().__init__("grpc://127.0.0.1:0", middleware={"listener": self._listener})

    @property
    def uri(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    @property
    def bearers(self) -> list[str]:
        return self._listener.bearers

    def do_get(self, _context: Any, _ticket: Any) -> Any:
        return flight.RecordBatchStream(_ROWS)


@contextlib.contextmanager
def in_place_of(guest: Guest) -> Iterator[Recorder]:
    """Put a recorder where a member answers, as its operator can, by the member's own key."""
    guest.stop()
    with Recorder() as recorder:
        beat = protocol.Heartbeat(uri=recorder.uri, nodes=(), report_version="", policy_epoch=0)
        key = member_key(guest.federation, guest.name)
        token = service_token(key, issuer=guest.name, audience=MOM, now=datetime.now(UTC))
        with Client(guest.federation.uri(MOM), token=token) as client:
            client.action(protocol.HEARTBEAT, beat.write())
        yield recorder
