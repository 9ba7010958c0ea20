import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from auth import RevokedTicketError, Ticket, TicketExplain, TicketShard, TicketTable
from flight_member.admission import Admission
from flight_member.errors import (
    OverloadedError,
    StaleTicketError,
    StatementTimeoutError,
    WrongCallerError,
)
from flight_member.memberhome import MemberHome
from flight_member.memberstate import MemberState
from flight_member.runner import StatementRunner
from flight_member.statestore import Database
from flight_sql import Call
from storage.datafusionengine import DataFusionEngine
from storage.errors import CancelledError, StaleMetastoreError
from storage.metastore import Table
from tests.flight_member.factories import (
    QUOTE,
    SHANGHAI,
    attach_quotes,
    load_quotes,
    make_jobs,
    make_limits,
)
from tests.storage.otherengine import ArrowEngine
from tests.waiting import wait_until

COUNT = f"select count(*) as n from {QUOTE}"
NAMES = ("shanghai", "n2", "n3")
OUTSIDE = "trading.stock.outside"
ENDLESS = "select count(*) as n from generate_series(1, 1000000000000)"


class Runner:
    """A runner with its engine and its one table."""

    def __init__(self, home: MemberHome, database: Database, **limits: Any) -> None:
        self.table: Table = load_quotes(home)
        self.state = MemberState(SHANGHAI, database)
        section = make_limits(max_running=1, max_queued=0, **limits)
        self.admission = Admission(section, SHANGHAI)
        self.engine = DataFusionEngine(
            memory_limit_bytes=1 << 28, spill_directory=home.spill_directory
        )
        self.revoked: set[str] = set()
        self.runner = StatementRunner(
            SHANGHAI,
            self.engine,
            self.state.metastore,
            self.admission,
            section,
            self.check_ticket,
            make_jobs(),
        )

    def check_ticket(self, ticket: Ticket) -> None:
        if ticket.id in self.revoked:
            raise RevokedTicketError("taken back")

    def ticket(self, sql: str = COUNT, **changes: Any) -> Ticket:
        now = datetime.now(UTC)
        table = self.table
        ticket = Ticket(
            id="t1",
            member=SHANGHAI,
            user="user1",
            cluster="hangzhou",
            groups=frozenset(),
            sql=sql,
            catalog=None,
            schema=None,
            tables=(TicketTable(table.name, table.id, table.schema_version, table.snapshot),),
            epoch=1,
            issued_at=now,
            expires_at=now + timedelta(seconds=60),
            query_id="q1",
        )
        return replace(ticket, **changes)

    def open(self, ticket: Ticket, call: Call | None = None, *, is_home: bool = False) -> Any:
        return self.runner.run(call or Call(), ticket, is_home=is_home).batches

    def read(self, ticket: Ticket, **options: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pa.Table.from_batches(
            list(self.open(ticket, **options))
        ).to_pylist()
        return rows


@pytest.fixture
def runner(home: MemberHome, database: Database) -> Iterator[Runner]:
    made = Runner(home, database)
    yield made
    made.engine.close()


def test_place_is_taken_while_rows_are_read_and_given_back_after_the_last(runner: Runner) -> None:
    batches = runner.open(runner.ticket())
    assert runner.admission.running == 1
    assert pa.Table.from_batches(list(batches)).to_pylist() == [{"n": 100}]
    assert runner.admission.running == 0


def test_place_is_given_back_when_no_row_was_ever_asked_for(runner: Runner) -> None:
    for _ in range(3):
        batches = runner.open(runner.ticket())
        batches.close()
        batches.close()
        assert runner.admission.running == 0
    assert runner.read(runner.ticket()) == [{"n": 100}]


def test_place_is_given_back_when_the_caller_leaves_on_the_way(runner: Runner) -> None:
    batches = runner.open(runner.ticket(f"select * from {QUOTE}"))
    next(batches)
    batches.close()
    assert runner.admission.running == 0
    with pytest.raises((StopIteration, CancelledError)):
        next(batches)
    assert runner.admission.running == 0


def test_second_statement_finds_no_place(runner: Runner) -> None:
    batches = runner.open(runner.ticket())
    with pytest.raises(OverloadedError):
        runner.open(runner.ticket())
    batches.close()
    assert runner.read(runner.ticket()) == [{"n": 100}]


@pytest.mark.parametrize("is_home", [True, False])
def test_statement_without_end_is_stopped_in_time_and_says_so(
    home: MemberHome, database: Database, is_home: bool
) -> None:
    limits = {"statement_timeout_s" if is_home else "visitor_timeout_s": 0.3}
    runner = Runner(home, database, **limits)
    started = time.monotonic()
    with pytest.raises(StatementTimeoutError, match=r"stopped after 0\.3 s"):
        runner.read(runner.ticket(ENDLESS), is_home=is_home)
    assert time.monotonic() - started < 3
    assert runner.admission.running == 0
    runner.engine.close()


def test_statement_without_end_stops_when_its_caller_leaves(runner: Runner) -> None:
    leaves_at = time.monotonic() + 0.2
    call = Call(is_cancelled=lambda: time.monotonic() > leaves_at)
    with pytest.raises(CancelledError):
        runner.read(runner.ticket(ENDLESS), call=call)
    assert runner.admission.running == 0


def test_measured_statement_without_end_stops_when_its_caller_leaves(runner: Runner) -> None:
    leaves_at = time.monotonic() + 0.2
    call = Call(is_cancelled=lambda: time.monotonic() > leaves_at)
    analyze = TicketExplain(analyze=True, verbose=False, is_tree=False, rules=("home",))
    with pytest.raises(CancelledError):
        runner.read(runner.ticket(ENDLESS, explain=analyze), call=call)
    assert runner.admission.running == 0


def test_statement_whose_reader_takes_nothing_ends_with_its_time(
    home: MemberHome, database: Database
) -> None:
    runner = Runner(home, database, visitor_timeout_s=0.2)
    batches = runner.open(runner.ticket(f"select * from {QUOTE}"))
    wait_until(lambda: runner.admission.running == 0)
    with pytest.raises(StatementTimeoutError, match=r"stopped after 0\.2 s"):
        next(batches)
    runner.engine.close()


def test_slow_reader_makes_room_and_gets_the_rest_later(
    home: MemberHome, database: Database
) -> None:
    runner = Runner(home, database, slow_reader_s=0)
    slow = runner.open(runner.ticket(f"select * from {QUOTE}"))
    assert runner.read(runner.ticket()) == [{"n": 100}]
    assert sum(batch.num_rows for batch in slow) == 100
    assert (runner.admission.running, runner.admission.lent) == (0, 0)
    runner.engine.close()


def test_ticket_to_explain_streams_the_explanation_alone(runner: Runner) -> None:
    how = TicketExplain(analyze=True, verbose=False, is_tree=False, rules=("home rules",))
    rows = runner.read(runner.ticket(f"select * from {QUOTE}", explain=how))
    told = {row["item"]: row["value"] for row in rows}
    assert (told["rows"], told["allowed by"]) == ("100", "home rules")
    assert runner.admission.running == 0


@pytest.mark.parametrize(
    "changes", [{"id": "0" * 32}, {"schema_version": 2}, {"snapshot": "another"}]
)
def test_ticket_of_another_state_of_its_table_is_stale(
    runner: Runner, changes: dict[str, Any]
) -> None:
    (sealed,) = runner.ticket().tables
    with pytest.raises((StaleTicketError, StaleMetastoreError), match="execute it again"):
        runner.open(runner.ticket(tables=(replace(sealed, **changes),)))
    assert runner.admission.running == 0


@pytest.mark.parametrize(
    "sql", ["select * from trading.stock.other", f"explain select * from {QUOTE}", "show tables"]
)
def test_ticket_that_does_not_cover_its_statement_is_refused(runner: Runner, sql: str) -> None:
    with pytest.raises(WrongCallerError):
        runner.open(runner.ticket(sql))
    assert runner.admission.running == 0


def test_visitors_join_is_refused_by_the_member_itself(runner: Runner) -> None:
    sql = f"select count(*) as n from {QUOTE} a join {QUOTE} b on a.bid = b.bid"
    with pytest.raises(Exception, match=r"^join-not-supported"):
        runner.open(runner.ticket(sql))
    assert runner.read(runner.ticket(sql), is_home=True) == [{"n": 100}]


def test_failure_of_the_engine_gives_the_place_back(runner: Runner) -> None:
    batches = runner.open(runner.ticket(f"select 1 / cast(bid - bid as bigint) from {QUOTE}"))
    with pytest.raises(Exception, match=r"^[a-z-]+: "):
        list(batches)
    assert runner.admission.running == 0


def test_visitors_ticket_that_was_taken_back_is_refused_and_its_stream_ends(
    runner: Runner,
) -> None:
    batches = runner.open(runner.ticket(f"select * from {QUOTE}"))
    runner.revoked.add("t1")
    with pytest.raises(RevokedTicketError):
        next(batches)
    assert runner.admission.running == 0
    with pytest.raises(RevokedTicketError):
        runner.open(runner.ticket())


def test_another_engine_can_take_the_place_of_this_one(home: MemberHome, runner: Runner) -> None:
    runner.table = attach_quotes(home, OUTSIDE)
    runner.state.refresh()
    other = ArrowEngine()
    in_its_place = StatementRunner(
        SHANGHAI,
        other,
        runner.state.metastore,
        runner.admission,
        make_limits(),
        runner.check_ticket,
        make_jobs(),
    )
    text = f"select bid from {OUTSIDE} where bid < 7"
    stream = in_its_place.run(Call(), runner.ticket(text), is_home=False)

    answer = pa.Table.from_batches(list(stream.batches), stream.arrow_schema)

    assert sorted(answer["bid"].to_pylist()) == [*range(7)]
    assert len(other.asked) == 1


def test_parts_are_together_the_whole(runner: Runner) -> None:
    text = f"select symbol, bid from {QUOTE} where bid < 50"
    whole = runner.read(runner.ticket(text))
    found = [
        row
        for part in range(3)
        for batch in runner.open(runner.ticket(text, shard=TicketShard(part, NAMES, "r1")))
        for row in batch.to_pylist()
    ]
    assert sorted(found, key=str) == sorted(whole, key=str)
    assert len(whole) == 50


@pytest.mark.parametrize("text", [COUNT, f"select bid from {QUOTE} limit 3", "select 1 as one"])
def test_statement_that_is_not_that_of_its_parts_is_not_run_in_parts(
    runner: Runner, text: str
) -> None:
    ticket = runner.ticket(text, shard=TicketShard(0, NAMES, "r1"))
    with pytest.raises(WrongCallerError, match="execute it again"):
        runner.read(ticket)
    how = TicketExplain(True, False, False, ("rule",))
    with pytest.raises(WrongCallerError):
        runner.read(replace(ticket, sql=f"select bid from {QUOTE}", explain=how))


def test_part_of_other_files_than_was_decided_on_is_stale(runner: Runner) -> None:
    (sealed,) = runner.ticket().tables
    ticket = runner.ticket(
        f"select bid from {QUOTE}",
        shard=TicketShard(0, NAMES, "r1"),
        tables=(replace(sealed, snapshot="99"),),
    )
    with pytest.raises(StaleMetastoreError):
        runner.read(ticket)
