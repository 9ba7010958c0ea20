"""What goes on while something fails: readers at every door, writers, grants, joins, rotations.

Each *activity* runs in a thread of its own, over and over, and tells when it has begun, so that a
fault can come in the middle of it. Whatever is answered is checked at once, by the oracle.
"""

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta

import pyarrow.compute as pc
from sqlalchemy.exc import SQLAlchemyError

from auth import AlreadyExistsError
from auth.errors import AuthError
from flight_member.errors import ConfigurationError, FlightMemberError
from flight_member.keyrotation import rotate_key
from flight_mom.momhome import ADMIN
from flight_sql import Client, Endpoint, RemoteError, Rows
from tests.faults.federation import (
    BIG,
    BIG_ROWS,
    CHIEF,
    HANGZHOU,
    HEARTBEAT_S,
    LEDGER,
    MEMBERS,
    MOM,
    NAMES,
    READER,
    SHANGHAI,
    TICKET_S,
    Federation,
)
from tests.faults.guests import join_and_leave
from tests.faults.ingesting import ingest
from tests.faults.oracle import PARTS, Oracle

COUNT_LEDGER = "select count(*) as n, count(distinct batch) as batches, sum(part) as parts from "
RELAY = (("x-route", "relay"),)
GRANT = f"GRANT TABLE_READ ON vault.books.secret@{HANGZHOU} TO {READER}@{SHANGHAI}"
REVOKE = f"REVOKE TABLE_READ ON vault.books.secret@{HANGZHOU} FROM {READER}@{SHANGHAI}"
READ_SECRET = f"select count(*) as n from vault.books.secret@{HANGZHOU}"
# What a heartbeat may be late on a busy machine before a revocation counts as lost.
_SLACK_S = 4.0
_STREAM_S = 8.0
_PATIENCE_S = 30.0
_SUM = BIG_ROWS * (BIG_ROWS - 1) // 2
# What a command at a server's own terminal may end with.
TERMINAL_ERRORS = (FlightMemberError, ConfigurationError, AuthError, SQLAlchemyError, OSError)
_ASK_AGAIN = {"invalid-token", "expired-token", "revoked-token"}


class Asker:
    """One user at one door, who signs in again when that is asked for."""

    def __init__(self, federation: Federation, user: str, at: str) -> None:
        self._federation = federation
        self._user = user
        self.client = federation.connect(at)
        self._is_in = False

    def signed_in(self) -> Client:
        """Return the client with a token."""
        if not self._is_in:
            self._federation.sign_in(self.client, self._user)
            self._is_in = True
        return self.client

    def note(self, error: RemoteError) -> None:
        """Sign in again next time if that is what was said."""
        if error.code in _ASK_AGAIN:
            self._is_in = False


class Workload:
    """All activities of one run."""

    def __init__(self, federation: Federation, oracle: Oracle) -> None:
        self._federation = federation
        self.oracle = oracle
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._begun = threading.Condition()
        self._rounds: dict[str, int] = {}
        self._is_revoked: bool | None = None
        self.can_grant = threading.Event()
        self._activities: Mapping[str, tuple[str, Callable[[], Callable[[], None]]]] = {
            "relayed": ("query", lambda: self._big_reader(MOM, RELAY)),
            "direct": ("query", lambda: self._big_reader(MOM, ())),
            "at home": ("query", lambda: self._counter(CHIEF, HANGZHOU, LEDGER)),
            "handed on": ("query", lambda: self._counter(READER, SHANGHAI, f"{LEDGER}@{HANGZHOU}")),
            "writer": ("write", self._writer),
            "granter": ("grant", self._granter),
        }

    def start(self) -> None:
        """Begin every activity that goes on all the time."""
        for door, (phase, make) in self._activities.items():
            arguments = (door, phase, make())
            thread = threading.Thread(target=self._repeat, args=arguments, name=door, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End all; whoever does not end is a finding."""
        self._stopping.set()
        deadline = time.monotonic() + 60
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
            if thread.is_alive():
                self.oracle.find(f"{thread.name} hangs for a minute")

    def begin(self, phase: str) -> None:
        """Return in the middle of the next round of a phase; some are begun for the purpose."""
        single = {"load": self._load, "join": self._join, "rotation": self._rotate}
        if phase in single:
            act = single[phase]
            thread = threading.Thread(target=self._once, args=(phase, act), name=phase, daemon=True)
            self._threads = [one for one in self._threads if one.is_alive()]
            self._threads.append(thread)
            thread.start()
        elif phase != "heartbeat":
            with self._begun:
                now = self._rounds.get(phase, 0)
                self._begun.wait_for(lambda: self._rounds.get(phase, 0) > now, timeout=5)

    def wait_for_answer(self, door: str, answered: int) -> bool:
        """Wait until a round that began since has been answered at a door."""
        # One may have been under way.
        return _waits(lambda: self.oracle.answers[door] > answered + 1)

    def write_everywhere(self) -> None:
        """Write to every table once more: whoever writes removes what was left there."""
        for act in (self._load, self._writer()):
            self._once("last write", act)

    def wait_for_single(self) -> None:
        """Wait until what `begin` started has ended."""
        for thread in self._threads[len(self._activities) :]:
            thread.join(60)

    # How rounds are made

    def _repeat(self, door: str, phase: str, act: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            with self._begun:
                self._rounds[phase] = self._rounds.get(phase, 0) + 1
                self._begun.notify_all()
            self._once(door, act)
            self._stopping.wait(0.1)

    def _once(self, door: str, act: Callable[[], None]) -> None:
        try:
            act()
        except RemoteError as error:
            self.oracle.refused(door, error)
        except TERMINAL_ERRORS as error:
            # Of a command at the server's own terminal.
            text = str(getattr(error, "code", type(error).__name__))
            self.oracle.refused(door, RemoteError("cluster-unavailable", "UNAVAILABLE", text))
        except BaseException:  # noqa: BLE001  whatever it is, it is told
            self.oracle.find(f"{door}: {traceback.format_exc()}")
        else:
            self.oracle.answered(door)

    # Readers

    def _big_reader(self, at: str, headers: tuple[tuple[str, str], ...]) -> Callable[[], None]:
        asker = Asker(self._federation, READER, at)
        door = "relayed" if headers else "direct"
        sql = f"select n, noise from {BIG}@{HANGZHOU}"

        def read() -> None:
            with noted(asker):
                rows = asker.signed_in().query(sql, headers=headers)
                breaks, count, total = self.oracle.breaks, 0, 0
                try:
                    with patience(rows):
                        for batch in rows:
                            count += batch.num_rows
                            total += pc.sum(batch["n"]).as_py() or 0
                            # As slow as somebody who does something with rows.
                            self._stopping.wait(0.01)
                except RemoteError as error:
                    if not headers and count:
                        self._require_broken_owner(breaks, error)
                    raise
            if (count, total) != (BIG_ROWS, _SUM):
                self.oracle.find(f"{door}: {count} rows of {BIG_ROWS} passed off as whole")

        return read

    def _require_broken_owner(self, breaks: int, error: RemoteError) -> None:
        """A direct stream that has begun hangs on nothing but the cluster that it comes from."""
        others_broke = self.oracle.breaks <= breaks + 1 and self.oracle.victim != HANGZHOU
        if others_broke and not self.oracle.has_clocks_apart:
            self.oracle.find(f"a direct stream ended with {error} as {self.oracle.victim} failed")

    def _counter(self, user: str, at: str, table: str) -> Callable[[], None]:
        asker = Asker(self._federation, user, at)
        # Elsewhere than at home a table is known as of the last report.
        is_home = at == HANGZHOU

        def count() -> None:
            least, _ = self.oracle.counts()
            with noted(asker):
                rows = asker.signed_in().query(COUNT_LEDGER + table)
                with patience(rows):
                    (counted,) = rows.read_all().to_pylist()
            door = "at home" if is_home else "handed on"
            self.oracle.check_counted(door, counted, least if is_home else 0)

        return count

    # Writers

    def _writer(self) -> Callable[[], None]:
        asker = Asker(self._federation, CHIEF, HANGZHOU)

        def write() -> None:
            batch = self.oracle.issue()
            values = ", ".join(f"({batch}, {part})" for part in range(PARTS))
            with noted(asker):
                asker.signed_in().update(f"INSERT INTO {LEDGER} VALUES {values}")
            self.oracle.acknowledge(batch)
            self._stopping.wait(0.3)

        return write

    def _load(self) -> None:
        ingest(self._federation, self.oracle)

    # Grants

    def _granter(self) -> Callable[[], None]:
        admin = Asker(self._federation, ADMIN, MOM)
        reader = Asker(self._federation, READER, MOM)

        def change() -> None:
            held: Endpoint | None = None
            with noted(admin):
                self._is_revoked = None
                admin.signed_in().update(GRANT)
                self._is_revoked = False
            with suppress(RemoteError), noted(reader):
                (held,) = reader.signed_in().get_info(READ_SECRET).endpoints
            with noted(admin):
                self._is_revoked = None
                admin.signed_in().update(REVOKE)
                self._is_revoked = True
            self._require_revoked(reader, held, time.monotonic())

        return change

    def _require_revoked(self, reader: Asker, held: Endpoint | None, revoked_at: float) -> None:
        """Check that nothing of the secret is read any more: not anew, nor on an old ticket."""
        with noted(reader):
            client = reader.signed_in()
            self._require_refused("asked after a revocation", lambda: client.query(READ_SECRET))
        while held is not None and self._opens(client, held, revoked_at):
            # Longer than it may last: a ticket that opens so late is found.
            if time.monotonic() > revoked_at + TICKET_S + 2 * _SLACK_S:
                return
            self._stopping.wait(0.2)

    def _opens(self, client: Client, held: Endpoint, revoked_at: float) -> bool:
        """Whether an old ticket still opens; too late is a finding."""
        asked_at = time.monotonic()
        try:
            with client.open_endpoint(held) as rows, patience(rows):
                rows.read_all()
        except RemoteError as error:
            self.oracle.refused("held ticket", error)
            return error.code in {"cluster-unavailable", "stale-metastore"}
        is_calm = not self.oracle.was_faulty_since(revoked_at)
        limit_s = (HEARTBEAT_S if is_calm else TICKET_S) + _SLACK_S
        if asked_at - revoked_at > limit_s:
            self.oracle.find(
                f"a ticket opened {asked_at - revoked_at:.1f} s after what it rests on was revoked"
            )
        return True

    def _require_refused(self, what: str, ask: Callable[[], Rows]) -> None:
        try:
            with ask() as rows, patience(rows):
                found = rows.read_all()
        except RemoteError as error:
            self.oracle.refused(what, error)
        else:
            self.oracle.find(f"{what}, and answered: {found.num_rows} rows")

    def is_secret_shut(self) -> bool | None:
        """Whether the secret is revoked; None when the last change was not answered."""
        return self._is_revoked

    # Once in a while

    def _join(self) -> None:
        join_and_leave(self._federation, self.oracle)

    def _rotate(self) -> None:
        for name in NAMES:
            home = self._federation.home(name) if name in MEMBERS else self._federation.mom_home
            # An hour, so that whatever is signed now counts on.
            with suppress(AlreadyExistsError):
                rotate_key(home, timedelta(hours=1))


def _waits(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class noted:  # noqa: N801  reads as a statement
    """Have an asker know what refused it."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, RemoteError):
            self._asker.note(error)


class patience:  # noqa: N801  reads as a statement
    """Leave a stream that does not move on for longer than anybody would wait."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._ran_out = False
        self._timer = threading.Timer(_STREAM_S, self._leave)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._timer.cancel()
        # Rows that were left end as if there were no more.
        if self._ran_out and error is None:
            raise RemoteError("cancelled", "CANCELLED", "nobody waits so long")

    def _leave(self) -> None:
        self._ran_out = True
        self._rows.close()
