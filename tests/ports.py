"""Ports for servers that give theirs up for a moment and want it back."""

import random
import socket

_OURS = range(20_000, 32_000)


def spare_port() -> int:
    """Return a port that is free, and that the system gives to nobody who asks for any."""
    while True:
        port = random.choice(_OURS)  # noqa: S311  not a secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
