"""Uses a server through flightsql-dbapi, and tells what it found: a line of JSON each.

Runs in an environment of its own, which has nothing of ours.
"""

import json
import os
from collections.abc import Callable
from typing import Any

from flightsql import FlightSQLClient, connect

FLIGHTS = "aviation.nyc.flights@hangzhou"
COUNT = f"select count(*) as n from {FLIGHTS}"


def _client(user: str, password: str, **more: Any) -> Any:
    host, port = os.environ["PROBE_HOST"], int(os.environ["PROBE_PORT"])
    return FlightSQLClient(
        host=host, port=port, insecure=True, user=user, password=password, **more
    )


def _reader(**more: Any) -> Any:
    return _client(os.environ["PROBE_USER"], os.environ["PROBE_PASSWORD"], **more)


def _rows(client: Any, info: Any) -> Any:
    return client.do_get(info.endpoints[0].ticket).read_all().to_pylist()


def _tell(name: str, question: Callable[[], Any]) -> None:
    try:
        found = question()
    except Exception as fault:  # noqa: BLE001  what it raises is what is told
        found = {"refused": str(fault)}
    print(json.dumps([name, found]))


def _query(sql: str, **more: Any) -> Any:
    client = _reader(**more)
    return _rows(client, client.execute(sql))


def _tables() -> Any:
    client = _reader()
    return [row["table_name"] for row in _rows(client, client.get_tables())]


def _cursor(sql: str, *values: Any) -> Any:
    cursor = connect(_reader()).cursor()
    return cursor.execute(sql, values).fetchall()


def _grant(sql: str) -> Any:
    return _client("admin", os.environ["PROBE_ADMIN_PASSWORD"]).execute_update(sql)


def main() -> None:
    """Ask everything."""
    named = {"x-cluster": "hangzhou", "x-catalog": "aviation", "x-schema": "nyc"}
    salaries = "TABLE_READ ON payroll.hr.salaries@hangzhou"
    _tell("query", lambda: _query(COUNT))
    _tell("headers", lambda: _query("select count(*) as n from flights", metadata=named))
    _tell("tables", _tables)
    _tell("cursor", lambda: _cursor(COUNT))
    _tell("parameters", lambda: _cursor(f"{COUNT} where origin = ?", "JFK"))
    _tell("grant", lambda: _grant(f"GRANT {salaries} TO user1@shanghai"))
    _tell("revoke", lambda: _grant(f"REVOKE {salaries} FROM user1@shanghai"))
    _tell("unknown-column", lambda: _query(f"select carier from {FLIGHTS}"))
    _tell("wrong password", lambda: _client(os.environ["PROBE_USER"], "wrong"))


if __name__ == "__main__":
    main()
