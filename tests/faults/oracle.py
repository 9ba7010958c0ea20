"""What must be true of every answer, whatever fails: who was told what, and what follows from it.

Whoever asks notes here what they ask before they ask it, and what they were told. A contradiction
is a *finding*.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flight_sql import RemoteError
from tests.e2e.federation import SECRETS

PARTS = 7
"""Rows of one batch that is written: seen all or none."""
PARTS_SUM = sum(range(PARTS))

# What a client may meet while something fails; whatever else is said is a finding.
_EXPECTED = {
    "audit-unavailable",
    "cancelled",
    "cluster-unavailable",
    "expired-ticket",
    "fenced",
    "expired-token",
    "internal",  # of a connection that broke; of a server it is found in its log
    "invalid-token",
    "outcome-unknown",
    "overloaded",
    "stale-metastore",
    "state-unavailable",
    "statement-timeout",
    "user-not-reported",
    "write-conflict",
}
# What those are told besides who ask for what was taken from them.
_TAKEN = {"not-found", "revoked-ticket"}
# What proofs come to while two clocks differ.
_OUT_OF_TIME = {"invalid-ticket", "revoked-ticket", "revoked-token"}
# What a write comes to when its rows find no room.
_NO_ROOM = {"disk-full"}
DOORS_OF_THE_SHUT = {"asked after a revocation", "held ticket"}


@dataclass(frozen=True)
class Finding:
    """Something that must not be."""

    what: str
    at_s: float


class Oracle:
    """The facts that all threads agree on."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.refusals: Counter[tuple[str, str]] = Counter()
        self.answers: Counter[str] = Counter()
        self.issued: set[int] = set()
        """Batches that were sent to be written."""
        self.acknowledged: set[int] = set()
        """Those whose writing was confirmed."""
        self.loaded = 0
        """Rows that an ingest confirmed, and …"""
        self.loading = 0
        """… those that one did not, and that may be there: each ingest all or none."""
        self.has_clocks_apart = False
        """Whether clocks differ, or did a moment ago."""
        self.has_full_disk = False
        self.breaks = 0
        self.victim = ""
        """Of the last that was broken."""
        self._lock = threading.Lock()
        self._faulty_since: float | None = None
        self._healed_at = 0.0

    # What is found

    def find(self, what: str) -> None:
        """Note a contradiction, once."""
        with self._lock:
            if all(what != finding.what for finding in self.findings):
                self.findings.append(Finding(what, time.monotonic()))

    def refused(self, door: str, error: RemoteError) -> None:
        """Note that somebody was refused; words that tell too much are a finding."""
        with self._lock:
            self.refusals[door, error.code] += 1
        expected = _EXPECTED | _TAKEN if door in DOORS_OF_THE_SHUT else _EXPECTED
        if self.has_clocks_apart:
            expected = expected | _OUT_OF_TIME
        if self.has_full_disk:
            expected = expected | _NO_ROOM
        if error.code not in expected:
            self.find(f"{door} was refused with {error}")
        said = error.text.partition("gRPC client debug context")[0]
        if (told := SECRETS.search(said)) is not None:
            self.find(f"{door} was told {told.group()!r} in {said}")

    def answered(self, door: str) -> None:
        """Note that somebody was answered."""
        with self._lock:
            self.answers[door] += 1

    # When something fails

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Tell that something is broken for the time of a `with` block."""
        with self._lock:
            self._faulty_since = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._faulty_since, self._healed_at = None, time.monotonic()

    @contextmanager
    def broken(self, victim: str) -> Iterator[None]:
        """Tell what is broken for the time of a `with` block; `breaks` counts such times."""
        self.breaks += 1
        self.victim = victim
        yield

    def was_faulty_since(self, moment_s: float) -> bool:
        """Whether anything was broken at any time since a moment, or not healed for long yet."""
        with self._lock:
            return self._faulty_since is not None or self._healed_at > moment_s - 5

    # What is written

    def issue(self) -> int:
        """Return the number of a batch that is about to be written."""
        with self._lock:
            number = len(self.issued) + 1
            self.issued.add(number)
            return number

    def acknowledge(self, batch: int) -> None:
        """Note that the writing of a batch was confirmed."""
        with self._lock:
            self.acknowledged.add(batch)

    def counts(self) -> tuple[int, int]:
        """Return how many batches were confirmed, and how many were sent."""
        with self._lock:
            return len(self.acknowledged), len(self.issued)

    def check_counted(self, door: str, counted: dict[str, int], least: int) -> None:
        """Check one answer of `COUNT_LEDGER`.

        Args:
            door: Who was answered.
            counted: {n, batches, parts}.
            least: Batches that were confirmed before it was asked, where that binds.
        """
        _, most = self.counts()
        batches = counted["batches"]
        if not least <= batches <= most:
            self.find(f"{door}: {batches} batches, of {least} confirmed and {most} sent")
        if (counted["n"], counted["parts"] or 0) != (PARTS * batches, PARTS_SUM * batches):
            self.find(f"{door}: a batch is seen in part, or twice: {counted}")

    def confirmed(self) -> frozenset[int]:
        """Return the batches that were confirmed so far."""
        with self._lock:
            return frozenset(self.acknowledged)

    def check_ledger(self, rows: list[dict[str, int]], confirmed: frozenset[int]) -> None:
        """Check what is there.

        Args:
            rows: {batch, n} of every batch.
            confirmed: What was confirmed before they were asked for.
        """
        found = {row["batch"]: row["n"] for row in rows}
        if lost := confirmed - found.keys():
            self.find(f"confirmed batches are lost: {sorted(lost)[:5]}")
        if made_up := found.keys() - self.issued:
            self.find(f"batches that nobody sent: {sorted(made_up)[:5]}")
        if torn := {batch: n for batch, n in found.items() if n != PARTS}:
            self.find(f"batches in part, or twice: {dict(sorted(torn.items())[:5])}")
