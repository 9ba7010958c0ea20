"""The benchmark of grants: a MoM that holds very many, as it starts, decides and changes.

Everything happens in this process, with the MoM's own parts and its database on the disk: starting
is reading the whole state, deciding is what every query waits for, and a change is one statement
from its text to the snapshot that binds, with its audit row, its revocation and the disk's
confirmation.
"""

import gc
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from auth import Identity
from bench.grantresults import CHANGE, DECISION, MEMORY, START, Figure
from bench.grantstate import CLUSTER, GROUPS, USERS, GrantState
from bench.memory import resident_bytes
from flight_member.clock import utc_now
from flight_mom.administration import Administration
from flight_mom.office import Office
from flight_mom.topology import Federation, Topology
from planner import Administrative, Defaults, parse_statement
from storage.names import ObjectName

_SOURCE: Final = "bench"
_WARM_UPS: Final = 5


def measure_grants(
    state: GrantState,
    directory: Path,
    decisions: int,
    changes: int,
    progress: Callable[[str], None],
) -> list[Figure]:
    """Make a state, start on it, decide, and change it.

    Args:
        state: How much there is.
        directory: Where the MoM's state goes.
        decisions: How many decisions are timed.
        changes: How many statements are timed.
        progress: Told what has just been done, `state.steps` + 3 times.
    """
    home = state.make(directory, progress)
    gc.collect()
    before = resident_bytes([os.getpid()])
    started = time.perf_counter()
    with closing(home.open_database()) as database:
        topology = Topology(CLUSTER, database, home.settings.heartbeat, utc_now)
        start_s = time.perf_counter() - started
        held = resident_bytes([os.getpid()]) - before
        progress("started")
        decided = list(_decide(state, topology.federation, decisions))
        progress("decided")
        administration = Administration(Office.of(CLUSTER, database, topology, utc_now))
        changed = list(_change(state, administration, changes))
        progress("changed")
    return [
        Figure.of(START, [start_s]),
        Figure.of(MEMORY, [held / 2**20]),
        Figure.of(DECISION, decided),
        Figure.of(CHANGE, changed),
    ]


def _decide(state: GrantState, federation: Federation, count: int) -> Iterator[float]:
    """Yield the microseconds that decisions take: of any user, on any table, half of them granted.

    Each caller is a user with one group at home; some are in groups of the MoM.
    """
    chance = random.Random(4)  # noqa: S311  the same every time, not secret
    now = datetime.now(UTC)
    for number in range(count):
        home, user = chance.randrange(state.clusters), chance.randrange(USERS)
        caller = _caller(state, home, user)
        table = state.table(chance.randrange(state.clusters), chance.randrange(1000))
        if number % 2:
            held = federation.grants.for_identity(caller)
            table = _below(chance.choice(held).securable) if held else table
        started = time.perf_counter_ns()
        federation.rules_for(caller.cluster, table).decide(caller, table, now)
        yield (time.perf_counter_ns() - started) / 1000


def _change(state: GrantState, administration: Administration, count: int) -> Iterator[float]:
    """Yield the milliseconds that GRANT and REVOKE take, in turn, of a user on another table."""
    administrator = Identity(
        user="admin",
        cluster=CLUSTER,
        groups=frozenset(),
        is_admin=True,
        token_id="",
        expires_at=datetime.max.replace(tzinfo=UTC),
    )
    for number in range(_WARM_UPS + count):
        user, table = state.user(number // 2, number // 2), state.table(number // 2 + 1, 1)
        verb, towards = ("GRANT", "TO") if number % 2 == 0 else ("REVOKE", "FROM")
        sql = f"{verb} TABLE_READ ON {table} {towards} {user}"
        started = time.perf_counter()
        statement = parse_statement(sql, Defaults(CLUSTER, mom=CLUSTER))
        if isinstance(statement, Administrative):
            administration.answer(statement, administrator, _SOURCE)
        if number >= _WARM_UPS:
            yield (time.perf_counter() - started) * 1000


def _caller(state: GrantState, home: int, user: int) -> Identity:
    return Identity(
        user=f"u{user}",
        cluster=state.member(home),
        groups=frozenset({f"g{user % GROUPS}"}),
        is_admin=False,
        token_id="",
        expires_at=datetime.max.replace(tzinfo=UTC),
    )


def _below(securable: ObjectName) -> ObjectName:
    """Return a table at or below what a grant is on."""
    schema, table = securable.schema or "s0", securable.table or "t0"
    return ObjectName(securable.cluster, securable.catalog or "lake", schema, table)
