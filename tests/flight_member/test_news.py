"""What commands change in the metastore is told to the MoM at once, not with the next heartbeat."""

import base64
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from auth import RotatingKey
from flight_member import protocol
from flight_member.clock import utc_now
from flight_member.leadership import Leadership
from flight_member.memberhome import MemberHome
from flight_member.membership import Heart
from flight_member.memberstate import MemberState
from flight_member.revocationlog import RevocationLog
from flight_member.sampling import NodeFacts, NodeSampler
from flight_member.statestore import Database
from flight_member.tables import TableDesk
from flight_member.watching import Watch
from storage.metastore import Table
from storage.replica import read_replica
from tests.flight_member.factories import QUOTE, SHANGHAI, load_quotes, make_jobs, make_quotes
from tests.waiting import wait_until

_NEVER_S = 3600.0
# The promise is a second; this is far from a heartbeat on a machine that is busy.
_SOON_S = 20.0
FACTS = NodeFacts(
    node=SHANGHAI,
    mode="single",
    host="127.0.0.1",
    port=1,
    uri="grpc://127.0.0.1:1",
    memory_limit_bytes=1,
    max_running_statements=1,
    roots=(),
)


class Mom:
    """Takes heartbeats and reports, as the MoM does."""

    def __init__(self) -> None:
        self.beat_count = 0
        self.tables: tuple[Table, ...] = ()
        self._version = ""
        self._lock = threading.Lock()

    def take(self, kind: str, body: bytes) -> bytes:
        with self._lock:
            if kind == protocol.REPORT:
                report = protocol.Report.read(body)
                self._version = report.version
                metastore = base64.b64decode(report.metastore)
                self.tables = read_replica(metastore, cluster=SHANGHAI).all_tables()
                return protocol.Acknowledgement().write()
            self.beat_count += 1
            wants = protocol.Heartbeat.read(body).report_version != self._version
            return protocol.HeartbeatReply(
                state="alive", policy_epoch=0, mom_keys=(), wants_report=wants
            ).write()

    def knows(self, row_count: int) -> bool:
        return [table.row_count for table in self.tables] == [row_count]


@pytest.fixture
def mom(home: MemberHome, database: Database) -> Iterator[Mom]:
    mom, state = Mom(), MemberState(SHANGHAI, database)
    with closing(home.open_database()) as own:
        heart = Heart(
            leadership=Leadership(own, SHANGHAI, 5),
            uri="grpc://127.0.0.1:1",
            key=RotatingKey(home.directory, utc_now),
            interval_s=_NEVER_S,
            state=state,
            revoked=RevocationLog(own, utc_now, silence_s=_NEVER_S),
            sampler=NodeSampler(FACTS, make_jobs(), utc_now),
            send=mom.take,
            is_joined=lambda: True,
            learned=lambda _: None,
            rescan=TableDesk(SHANGHAI, own, home).rescan,
        )
        watch = Watch(state.refresh)
        heart.start()
        watch.start()
        try:
            wait_until(lambda: mom.beat_count > 0, _SOON_S)
            yield mom
        finally:
            watch.stop()
            heart.stop()


def test_mom_hears_of_loaded_appended_and_dropped_tables_before_the_next_heartbeat(
    home: MemberHome, mom: Mom
) -> None:
    desk = TableDesk.open(home)
    load_quotes(home)
    wait_until(lambda: mom.knows(100), _SOON_S)
    desk.append(QUOTE, make_quotes(10).to_batches())
    wait_until(lambda: mom.knows(110), _SOON_S)
    desk.drop(QUOTE)
    wait_until(lambda: not mom.tables, _SOON_S)
