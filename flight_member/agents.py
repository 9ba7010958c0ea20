"""What a client cannot do is known by its user agent: there is no other word of it."""

from collections.abc import Sequence

from flight_sql import Call


def has_agent(call: Call, words: Sequence[str]) -> bool:
    """Return whether the caller's user agent holds one of some words."""
    agent = call.headers.get("user-agent", "")
    return any(word in agent for word in words)
