"""One crowd of clients in a process of its own, which does to a server what it is told.

It is given a server's address and who asks; it reads commands from its standard input, JSON on one
line each, and answers each with one line of JSON; it ends with its input. `connect` opens idle
connections, `dawdle` opens streams of which it reads one batch, `ask` asks a statement again and
again, `burst` asks it from very many threads at once, each of which tries again when it is told to.
"""

import argparse
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from flight_sql import Client, RemoteError, Rows

ANSWERED: Final = "answered"
REFUSED: Final = "overloaded"
WAITED: Final = "overloaded after waiting"
# How it is told from the code's other cases: a place in the queue was had, and given up.
_AT_ONCE: Final = ("wait; try again", "calls are being answered")
_PATIENCE_S: Final = 300.0
_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 3.0
# So many threads share a connection: a thousand handshakes are not what is measured.
_PER_CONNECTION: Final = 25


class Crowd:
    """The clients, and what they hold open."""

    def __init__(self, uri: str, user: str, password: str, headers: Mapping[str, str]) -> None:
        """Sign in once; everything is asked with that token."""
        self._uri = uri
        self._headers = tuple(headers.items())
        with Client(uri) as first:
            self._token = first.sign_in(user, password)
        self._idle: list[Client] = []
        self._open: list[Rows] = []
        self._asking = self._client()

    def connect(self, count: int) -> dict[str, Any]:
        """Open connections, and ask something small on each so that it is really open."""
        for _ in range(count):
            client = self._client()
            client.session_options()
            self._idle.append(client)
        return {"count": count}

    def dawdle(self, count: int, sql: str) -> dict[str, Any]:
        """Open streams on connections of their own, and leave them after the first batch."""
        attempts: list[tuple[float, str]] = []
        for _ in range(count):
            client = self._client()
            self._idle.append(client)
            rows = self._until_answered(attempts, partial(self._first, client, sql))
            if rows is not None:
                self._open.append(rows)
        return {"attempts": attempts, "open": len(self._open)}

    def ask(self, count: int, sql: str) -> dict[str, Any]:
        """Ask one after the other, and try none again."""
        attempts: list[tuple[float, str]] = []
        for _ in range(count):
            self._try(attempts, lambda: self._all(self._asking, sql))
        return {"attempts": attempts}

    def burst(self, count: int, sql: str) -> dict[str, Any]:
        """Ask all at once."""
        clients = [self._client() for _ in range(-(-count // _PER_CONNECTION))]
        attempts: list[tuple[float, str]] = []
        start = threading.Barrier(count + 1)

        def one(number: int) -> None:
            client = clients[number % len(clients)]
            start.wait()
            self._until_answered(attempts, lambda: self._all(client, sql))

        threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        start.wait()
        began = time.perf_counter()
        for thread in threads:
            thread.join()
        for client in clients:
            client.close()
        return {"attempts": attempts, "elapsed_s": time.perf_counter() - began}

    def _client(self) -> Client:
        return Client(self._uri, token=self._token)

    def _first(self, client: Client, sql: str) -> Rows:
        rows = client.query(sql, headers=self._headers)
        next(rows)
        return rows

    def _all(self, client: Client, sql: str) -> int:
        return int(client.query(sql, headers=self._headers).read_all().num_rows)

    def _until_answered(
        self, attempts: list[tuple[float, str]], act: Callable[[], Any]
    ) -> Any | None:
        """Try again after a pause, each time a longer one, for as long as it is worth trying."""
        give_up_at, pause_s = time.monotonic() + _PATIENCE_S, _PAUSE_S
        while True:
            result, may_retry = self._try(attempts, act)
            if not may_retry or time.monotonic() > give_up_at:
                return result
            time.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311  no secret
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    @staticmethod
    def _try(attempts: list[tuple[float, str]], act: Callable[[], Any]) -> tuple[Any | None, bool]:
        """Do it once, note how long it took and what came of it; returns whether to do it again."""
        began = time.perf_counter()
        result, outcome, may_retry = None, ANSWERED, False
        try:
            result = act()
        except RemoteError as error:
            outcome, may_retry = error.code, error.retryable
            if outcome == REFUSED and not any(words in error.text for words in _AT_ONCE):
                outcome = WAITED
        attempts.append(((time.perf_counter() - began) * 1000, outcome))
        return result, may_retry


def main() -> None:
    """Do what standard input says."""
    parser = argparse.ArgumentParser()
    for name in ("uri", "user", "headers"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    password = sys.stdin.readline().strip()
    crowd = Crowd(given.uri, given.user, password, json.loads(given.headers))
    print("ready", flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(crowd, command.pop("do"))(**command)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
