"""Tickets that share one result: which part of its rows each is for, and that they end together.

Each fetches the rows of one part of the tables' files, at whichever node; the parts are told by
their names (`storage.sharding`). Whoever cancels one cancels the result.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from auth.encoding import EncodingFaultError, decode_base64url, decode_json_object
from auth.sealing import MAX_TICKET_BYTES

_NO_SHARD = b'"shard":null'


@dataclass(frozen=True, slots=True)
class TicketShard:
    """Which part of a result's rows a ticket is for."""

    part: int
    """Counted from 0: that of this name."""
    names: tuple[str, ...]
    """What the parts are called, each once."""
    result: str
    """What is common to the tickets of one result, and to those that renew them."""

    @property
    def claim(self) -> list[Any]:
        """The shard as it is sealed."""
        return [self.part, list(self.names), self.result]


@dataclass(frozen=True, slots=True)
class SharedResult:
    """A result that several tickets share."""

    id: str
    """With the cluster that made the tickets: another's are never the same result."""
    life: timedelta
    """For how long its tickets count, each from when it was made or renewed."""


def read_shard(value: Any) -> TicketShard | None:
    """Read the claim of a genuine ticket.

    Raises:
        TypeError: When it is none; also of servers that did not name the parts yet.
    """
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 3:  # noqa: PLR2004  part, names, result
        raise TypeError
    part, names, result = value
    is_named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    # An exact type: JSON's true is an int to Python.
    if type(part) is not int or not is_named or not isinstance(result, str) or not result:
        raise TypeError
    if not 0 <= part < len(names) or len(set(names)) != len(names):
        raise TypeError
    return TicketShard(part, tuple(names), result)


def shared_result(handle: bytes) -> SharedResult | None:
    """Return the result that a ticket is for a part of; None when it is for all, or no ticket.

    Nothing is verified: for handles that were, and to find what runs on them.
    """
    if len(handle) > MAX_TICKET_BYTES:
        return None
    try:
        payload = decode_base64url(handle.split(b".")[1])
        # Most tickets have none, and hold a whole statement. In that, quotes are written otherwise.
        if _NO_SHARD in payload:
            return None
        claims = decode_json_object(payload)
        shard = read_shard(claims.get("shard"))
        life = timedelta(seconds=claims["exp"] - claims["iat"])
    except (EncodingFaultError, IndexError, KeyError, TypeError, OverflowError):
        return None
    return None if shard is None else SharedResult(f"{claims.get('iss')}/{shard.result}", life)
