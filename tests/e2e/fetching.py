"""Streams that are read in threads of their own, and what members' logs tell of their ends."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

from flight_mom.demo.federation import DemoFederation
from flight_sql import RemoteError, Rows
from tests.e2e.factories import QUOTES
from tests.e2e.federation import FLIGHTS_AT

FOR_A_MINUTE = "select count(*) as n from {} union all select count(*) from generate_series(1, {})"
AT_HANGZHOU = FOR_A_MINUTE.format(FLIGHTS_AT, 10**12)
AT_SHANGHAI = FOR_A_MINUTE.format(QUOTES, 10**12)


class Fetching:
    """A stream that is opened and read in a thread of its own, and how it ended."""

    def __init__(self, open_rows: Callable[[], Rows]) -> None:
        self.error: RemoteError | None = None
        self._open_rows = open_rows
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            self._open_rows().read_all()
        except RemoteError as error:
            self.error = error

    def refusal(self) -> RemoteError:
        self._thread.join(10)
        assert not self._thread.is_alive()
        assert self.error is not None
        return self.error


def ended(federation: DemoFederation, cluster: str, query_id: str) -> list[str]:
    """Return the outcomes of a statement in a member's log."""
    lines = Path(federation.directory / f"{cluster}.log").read_text("utf-8").splitlines()
    events = [json.loads(line) for line in lines if '"statement_ended"' in line]
    return [event["outcome"] for event in events if event["query_id"] == query_id]
