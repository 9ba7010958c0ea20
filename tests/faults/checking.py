"""What is checked when everything works again: how long that took, and what is there."""

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from flight_mom.momhome import ADMIN
from flight_sql import Client, RemoteError
from tests.faults.federation import (
    BIG,
    BIG_ROWS,
    CHIEF,
    HANGZHOU,
    LEDGER,
    LOADED,
    MEMBERS,
    MOM,
    READER,
    SHANGHAI,
    Federation,
)
from tests.faults.ingesting import ROWS
from tests.faults.oracle import PARTS, Oracle
from tests.faults.workload import COUNT_LEDGER, READ_SECRET, RELAY

# Far more than it takes, for machines that are busy with something else.
RECOVERY_S = 120.0


def recover(federation: Federation, oracle: Oracle) -> float:
    """Wait until everything is answered again; returns after how many seconds it was."""
    mended_at = time.monotonic()
    needs: dict[str, Callable[[ExitStack], bool]] = {
        "the MoM hears both members": lambda stack: (
            federation.alive(stack.enter_context(federation.client(ADMIN, MOM))) == set(MEMBERS)
        ),
        "a relayed read": lambda stack: _counts(
            stack.enter_context(federation.client(READER, MOM)), RELAY
        ),
        "a direct read": lambda stack: _counts(
            stack.enter_context(federation.client(READER, MOM)), ()
        ),
        "a read handed on from home": lambda stack: _counts(
            stack.enter_context(federation.client(READER, SHANGHAI)), ()
        ),
        "a write": lambda stack: _writes(
            stack.enter_context(federation.client(CHIEF, HANGZHOU)), oracle
        ),
    }
    for what, is_met in needs.items():
        while True:
            with suppress(RemoteError), ExitStack() as stack:
                if is_met(stack):
                    break
            if time.monotonic() > mended_at + RECOVERY_S:
                oracle.find(f"{what} does not work {RECOVERY_S:.0f} s after everything was mended")
                break
            time.sleep(0.1)
    return time.monotonic() - mended_at


def check(federation: Federation, oracle: Oracle) -> None:
    """Check what is there against what was confirmed, at the owner and as others see it.

    On a busy machine a member may be silent for too long without any fault: asked again then.
    """
    deadline = time.monotonic() + RECOVERY_S
    while True:
        try:
            _check_once(federation, oracle)
        except RemoteError as error:
            if not error.retryable or time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def _check_once(federation: Federation, oracle: Oracle) -> None:
    with federation.client(CHIEF, HANGZHOU) as chief, federation.client(READER, MOM) as reader:
        least, _ = oracle.counts()
        batches = f"select batch, count(*) as n from {LEDGER} group by batch"
        confirmed = oracle.confirmed()
        oracle.check_ledger(chief.query(batches).read_all().to_pylist(), confirmed)
        _check_loaded(oracle, _number(chief, f"select count(*) as n from {LOADED}"))
        _wait_for_the_same(reader, oracle, least)


def _check_loaded(oracle: Oracle, found: int) -> None:
    is_possible = oracle.loaded <= found <= oracle.loaded + oracle.loading
    if not is_possible or found % ROWS:
        oracle.find(f"{found} rows are loaded, of {oracle.loaded} confirmed, {ROWS} at a time")


def _wait_for_the_same(reader: Client, oracle: Oracle, least: int) -> None:
    """What was confirmed at home is seen by visitors within a report."""
    deadline = time.monotonic() + RECOVERY_S
    while True:
        (counted,) = reader.query(f"{COUNT_LEDGER}{LEDGER}@{HANGZHOU}").read_all().to_pylist()
        oracle.check_counted("visitor", counted, 0)
        if counted["batches"] >= least:
            return
        if time.monotonic() > deadline:
            oracle.find(f"visitors see {counted['batches']} batches of {least} confirmed")
            return
        time.sleep(0.2)


def is_shut(federation: Federation) -> bool:
    """Whether the secret is refused to the reader."""
    with federation.client(READER, MOM) as reader:
        try:
            reader.query(READ_SECRET).read_all()
        except RemoteError as error:
            return error.code == "not-found"
        return False


def _counts(client: Client, headers: tuple[tuple[str, str], ...]) -> bool:
    sql = f"select count(*) as n from {BIG}@{HANGZHOU}"
    return _number(client, sql, headers) == BIG_ROWS


def _writes(chief: Client, oracle: Oracle) -> bool:
    batch = oracle.issue()
    values = ", ".join(f"({batch}, {part})" for part in range(PARTS))
    chief.update(f"INSERT INTO {LEDGER} VALUES {values}")
    oracle.acknowledge(batch)
    return True


def _number(client: Client, sql: str, headers: tuple[tuple[str, str], ...] = ()) -> int:
    return int(client.query(sql, headers=headers).read_all()["n"][0].as_py())
