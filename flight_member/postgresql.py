"""Connections to PostgreSQL on which nothing waits for ever.

A database that hangs, or to which the way is cut, sends neither an answer nor an end. So every
wait for it has an end here.
"""

from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.abc import PQGen

_CONNECT_S = 3
T = TypeVar("T")


class BoundedConnection(Connection[Any]):
    """A connection that is given up when the database has not answered for so long."""

    patience_s = 10.0

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for the database, but not for ever.

        Raises:
            OperationalError: When it did not answer in time; the connection is of no use then.
        """
        try:
            return super().wait(gen, interval, self.patience_s if timeout is None else timeout)
        except OperationalError as error:
            # An error of the database's own has a state; that of a wait that ended has none.
            if error.sqlstate is None:
                self.pgconn.finish()
            raise


def connect(arguments: dict[str, Any], *, patience_s: float) -> BoundedConnection:
    """Connect to a database.

    Args:
        arguments: What the URL says.
        patience_s: How long any one answer may take.
    """
    # Refused by the database itself, which says so, a little before patience ends.
    limits = f"-c lock_timeout={_ms(patience_s * 0.8)} -c statement_timeout={_ms(patience_s * 0.9)}"
    settings: dict[str, Any] = {
        "connect_timeout": _CONNECT_S,
        "keepalives_idle": _CONNECT_S,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": _ms(_CONNECT_S * 2),
        **arguments,
        "options": " ".join(filter(None, [str(arguments.get("options", "")), limits])),
    }
    connection = BoundedConnection.connect(**settings)
    connection.patience_s = patience_s
    return connection


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
