"""Further controllers of a member: who may join, and who is told."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from flight_member.controllerdesk import add_controller
from flight_member.errors import ConfigurationError
from tests.e2e.commands import try_member
from tests.flight_member.factories import make_home
from tests.ha.members import FIRST, SECOND, Cluster

pytestmark = pytest.mark.ha


def test_controllers_are_listed_with_their_leader(cluster: Cluster) -> None:
    done = try_member("controllers", "--dir", str(cluster.directory / SECOND), "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows.keys() == {FIRST, SECOND}
    assert [name for name, row in rows.items() if row["is_leader"]] == [cluster.leader]
    assert {name: row["uri"] for name, row in rows.items()} == {
        name: cluster.servers[name].uri for name in rows
    }


def test_join_token_of_a_controller_counts_once(cluster: Cluster, tmp_path: Path) -> None:
    here = ("--dir", str(cluster.directory / FIRST))
    older, newest = tmp_path / "older.join", tmp_path / "newest.join"
    for file in (older, newest):
        file.write_text(try_member("controller", "add", "third", *here).stdout)
    # The newest alone counts, and once.
    assert "invalid-token" in join(cluster, tmp_path / "void", older)
    assert "third is a controller of shanghai" in join(cluster, tmp_path / "third", newest)
    assert "invalid-token" in join(cluster, tmp_path / "void", newest)
    assert not (tmp_path / "void").exists()
    again = try_member("controller", "add", "third", *here)
    assert "already-exists" in again.stderr
    removed = try_member("controller", "remove", "third", *here)
    assert removed.returncode == 0, removed.stderr
    running = try_member("controller", "remove", SECOND, *here)
    assert "second runs" in running.stderr


def test_member_over_sqlite_has_one_controller(tmp_path: Path) -> None:
    home = make_home(tmp_path / "alone")
    with (
        closing(home.open_database()) as database,
        pytest.raises(ConfigurationError, match="PostgreSQL"),
    ):
        add_controller(home, database, "second")


def join(cluster: Cluster, directory: Path, token: Path) -> str:
    uri = cluster.servers[cluster.leader].uri
    done = try_member(
        *("controller", "join", "--dir", str(directory), "--controller", uri),
        *("--database", cluster.postgresql.url(cluster.database), "--token-file", str(token)),
    )
    return done.stdout + done.stderr
