"""The five ways to the same rows, side by side for one statement over one layout."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.adbc import Account, AdbcReader, adbc_reader
from bench.children import Child, running_child
from bench.datafusion_alone import TABLE
from bench.reading import Reading, Sizes, time_reading, weigh
from bench.scannedfederation import MeasuredFederation, qualified
from bench.statements import Statement

DATAFUSION, FLIGHT, MEMBER = "datafusion", "flight", "member"
MOM_DIRECT, MOM_RELAY = "mom-direct", "mom-relay"
CONTENDERS = (DATAFUSION, FLIGHT, MEMBER, MOM_DIRECT, MOM_RELAY)


class Source(Protocol):
    """Gives the rows of its one statement as often as it is asked."""

    def time(self) -> Reading:
        """Read all rows once and time it."""

    def weigh(self) -> Sizes:
        """Read all rows once and weigh them."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A source with the processes that serve it."""

    name: str
    source: Source
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _WorkerSource:
    worker: Child

    def time(self) -> Reading:
        return Reading(**self._ask("time"))

    def weigh(self) -> Sizes:
        return Sizes(**self._ask("weigh"))

    def _ask(self, action: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.worker.ask(json.dumps({"action": action})))
        return answer


@dataclass(frozen=True, slots=True)
class _AdbcSource:
    reader: AdbcReader

    def time(self) -> Reading:
        return time_reading(self.reader.batches)

    def weigh(self) -> Sizes:
        return weigh(self.reader.batches)


@contextmanager
def running_contenders(
    federation: MeasuredFederation, statement: Statement, layout: str, directory: Path
) -> Iterator[Sequence[Contender]]:
    """Start what is not running yet and connect; all but the federation ends with the block."""
    alone = [str(directory), statement.over(TABLE)]
    sql = statement.over(qualified(layout))
    with ExitStack() as stack:
        worker = stack.enter_context(running_child("bench.datafusion_alone", alone))
        resident = stack.enter_context(running_child("bench.flight_alone", alone))
        member, mom = federation.member_pid, federation.mom_pid

        def asked(name: str, account: Account, *pids: int) -> Contender:
            reader = stack.enter_context(adbc_reader(account, sql))
            return Contender(name, _AdbcSource(reader), pids)

        yield (
            Contender(DATAFUSION, _WorkerSource(worker), (worker.pid,)),
            asked(FLIGHT, Account(resident.greeting.removeprefix("serving ")), resident.pid),
            asked(MEMBER, federation.owner(), member),
            asked(MOM_DIRECT, federation.visitor("direct"), member, mom),
            asked(MOM_RELAY, federation.visitor("relay"), member, mom),
        )
