"""What a client cannot do is known by its user agent: there is no other word of it."""

from collections.abc import Mapping, Sequence


def has_agent(headers: Mapping[str, str], words: Sequence[str]) -> bool:
    """Return whether the user agent among a call's headers holds one of some words."""
    agent = headers.get("user-agent", "")
    return any(word in agent for word in words)
