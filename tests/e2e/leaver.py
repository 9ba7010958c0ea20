"""A client in a process of its own, to be killed: `python -m tests.e2e.leaver URI TOKEN ROUTE ID`.

Reads the statement from standard input, and says so when it has asked for the rows.
"""

import sys

from flight_sql import Client


def main(uri: str, token: str, route: str, query_id: str) -> None:
    headers = (("x-route", route), ("x-query-id", query_id))
    with Client(uri, token=token) as client:
        rows = client.query(sys.stdin.read(), headers=headers)
        sys.stdout.write("reading\n")
        sys.stdout.flush()
        rows.read_all()


if __name__ == "__main__":
    main(*sys.argv[1:])
