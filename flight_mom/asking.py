"""How a command asks the MoM one statement."""

from pathlib import Path

from flight_member.querycommand import connect, find_profile
from flight_member.terminal import print_arrow, reported_errors


def ask(sql: str, profile: Path | None, *, as_json: bool) -> None:
    """Ask a statement as the user of a profile, and print what it answers."""
    with reported_errors(), connect(find_profile(profile)) as client:
        print_arrow(client.query(sql).read_all(), as_json=as_json)
