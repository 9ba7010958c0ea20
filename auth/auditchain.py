"""The chain through the audit log: each row's digest covers the row and the digest before it.

Whoever edits, removes or inserts a row must change every digest after it, and the head. Whoever can
rewrite all of those is found out by an *anchor*: a row's number and digest that were noted
elsewhere, as the server's log does every hour.

Pure: rows in, faults out.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auth.errors import InvalidAnchorError

GENESIS = "0" * 64
"""What stands for the digest before the first row."""

_DIGEST_LENGTH = 64


@dataclass(frozen=True, slots=True)
class ChainedRow:
    """A row as it is kept: its number, its values in the order of the columns, its digest."""

    id: int
    values: Sequence[object]
    digest: str


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where the chain begins and ends.

    Attributes:
        first_id: The number of the oldest row that is kept.
        base_digest: The digest before that row.
        last_id: The number of the newest row; one below `first_id` when there is none.
        digest: The digest of the newest row.
    """

    first_id: int = 1
    base_digest: str = GENESIS
    last_id: int = 0
    digest: str = GENESIS


@dataclass(frozen=True, slots=True)
class Anchor:
    """A row's digest as it was noted elsewhere, written `1042:9f86d0…`."""

    id: int
    digest: str

    @classmethod
    def parse(cls, text: str) -> "Anchor":
        """Read an anchor.

        Raises:
            InvalidAnchorError: When it is not a number, a colon and 64 hexadecimal digits.
        """
        number, _, digest = text.strip().lower().partition(":")
        is_hex = len(digest) == _DIGEST_LENGTH and not set(digest) - set("0123456789abcdef")
        if not (number.isascii() and number.isdigit() and is_hex):
            raise InvalidAnchorError(
                "an anchor is a row's number, a colon and its digest of 64 hexadecimal digits, as "
                "the event audit_head of the server's log has them"
            )
        return cls(int(number), digest)

    def __str__(self) -> str:
        return f"{self.id}:{self.digest}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What a walk along the chain found; no faults means that the log is whole."""

    row_count: int
    head: ChainHead
    faults: tuple[str, ...]

    @property
    def anchor(self) -> Anchor:
        """The newest row, to be noted elsewhere."""
        return Anchor(self.head.last_id, self.head.digest)


def link(previous: str, row_id: int, values: Sequence[object]) -> str:
    """Return the digest of a row, given the digest of the row before it."""
    text = json.dumps([previous, row_id, *values], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def verify_chain(
    rows: Iterable[ChainedRow], head: ChainHead, anchor: Anchor | None = None
) -> Verification:
    """Walk along the chain.

    Args:
        rows: All rows that are kept, ordered by number.
        head: Where the chain begins and ends.
        anchor: A digest noted elsewhere, which the log must still contain.
    """
    walk = _Walk(head, anchor)
    for row in rows:
        walk.step(row)
    return walk.end()


class _Walk:
    def __init__(self, head: ChainHead, anchor: Anchor | None) -> None:
        self._head = head
        self._anchor = anchor
        self._expected = head.first_id
        self._previous: str | None = head.base_digest
        self._row_count = 0
        self._faults: list[str] = []
        self._is_anchored = anchor is None

    def step(self, row: ChainedRow) -> None:
        self._row_count += 1
        if row.id < self._expected:
            self._faults.append(f"row {row.id} lies before the log's first row")
            return
        if row.id > self._expected:
            self._faults.append(_missing(self._expected, row.id - 1))
            self._previous = None
        if self._previous is not None and link(self._previous, row.id, row.values) != row.digest:
            self._faults.append(f"row {row.id}, or the digest before it, was changed")
        if self._anchor is not None and row.id == self._anchor.id:
            self._is_anchored = True
            if row.digest != self._anchor.digest:
                self._faults.append(f"row {row.id} is not the one that was noted elsewhere")
        self._previous = row.digest
        self._expected = row.id + 1

    def end(self) -> Verification:
        head = self._head
        if self._expected <= head.last_id:
            self._faults.append(_missing(self._expected, head.last_id))
        elif self._expected > head.last_id + 1:
            self._faults.append(f"{_rows(head.last_id + 1, self._expected - 1)} were put in")
        elif self._previous is not None and self._previous != head.digest:
            self._faults.append("the newest row is not the one that the log ended with")
        if self._anchor is not None and not self._is_anchored:
            is_old = self._anchor.id < head.first_id
            why = "is older than what is kept" if is_old else "is not in the log"
            self._faults.append(f"row {self._anchor.id}, which was noted elsewhere, {why}")
        return Verification(self._row_count, head, tuple(self._faults))


def _missing(first: int, last: int) -> str:
    return f"{_rows(first, last)} {'is' if first == last else 'are'} missing"


def _rows(first: int, last: int) -> str:
    return f"row {first}" if first == last else f"rows {first} to {last}"
