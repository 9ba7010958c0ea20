"""Handlers of heartbeats in a running MoM: that of the page, one that blocks, one that raises."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flight_member import protocol
from flight_member.configuration import load_settings
from flight_member.joining import join_federation
from flight_member.memberhome import MemberHome
from flight_member.settings import MemberSettings
from flight_mom.membercommands import change_member
from flight_mom.momhome import MomHome
from flight_mom.settings import MomSettings
from flight_sql import Client
from tests.docs.pages import ROOT, blocks
from tests.e2e.commands import served, try_mom
from tests.waiting import wait_until

MOM, MEMBER = "headquarters", "ningbo"
PAGE = ROOT / "docs" / "heartbeats.md"
WAIT_S = 30.0
# An interval that is short for how long the handler blocks.
INTERVAL_S = 1.0
OTHERS = """
import time

def block(rows):
    time.sleep(60)

def fail(rows):
    raise RuntimeError("a handler of somebody's")
"""


@dataclass
class Watched:
    """A MoM and one member, and where the MoM writes."""

    client: Client
    log: Path
    file: Path

    def events(self, name: str) -> list[dict[str, object]]:
        lines = self.log.read_text("utf-8").splitlines()
        return [one for one in map(json.loads, lines) if one.get("event") == name]

    def rows(self, sql: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self.client.query(sql).read_all().to_pylist()
        return found

    def loads(self, cluster: str) -> int:
        """Return how many rows of a cluster the handler of the page has written."""
        if not self.file.exists():
            return 0
        with self.file.open(newline="") as file:
            return sum(row["cluster_name"] == cluster for row in csv.DictReader(file))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A MoM whose first handler blocks, whose second raises, and whose last is that of the page."""
    directory = tmp_path_factory.mktemp("watched")
    flags = {"cluster.name": MOM, "state.directory": str(directory / MOM)}
    home = MomHome.create(load_settings(MomSettings, None, flags).settings)
    (home.directory / "handlers").mkdir()
    (example,) = blocks(PAGE, "py")
    file = directory / "loads.csv"
    (home.directory / "handlers" / "loads.py").write_text(
        example.replace('"loads.csv"', repr(str(file)))
    )
    (home.directory / "handlers" / "others.py").write_text(OTHERS)
    (written,) = blocks(PAGE, "toml")
    settings = home.directory / "flight-mom.toml"
    handlers = written.replace('["', '["others:block", "others:fail", "')
    settings.write_text(f"{settings.read_text()}\n{handlers}interval_s = {INTERVAL_S}\n")
    with served("flight_mom", home.directory, {}) as uri, Client(uri) as client:
        client.sign_in(f"admin@{MOM}", home.password_file.read_text().strip())
        request = protocol.MembersRequest(action="add", cluster=MEMBER, hosts=("127.0.0.1",))
        member = make_member(directory, uri)
        join_federation(member, str(change_member(client, request).join_token))
        environment = {"FLIGHT_MEMBER_HEARTBEAT__INTERVAL_S": str(INTERVAL_S)}
        with served("flight_member", member.directory, environment):
            yield Watched(client, directory / f"{MOM}.log", file)


def make_member(directory: Path, mom_uri: str) -> MemberHome:
    flags = {
        "cluster.name": MEMBER,
        "state.directory": str(directory / MEMBER),
        "mom.address": mom_uri,
    }
    return MemberHome.create(load_settings(MemberSettings, None, flags).settings)


def test_handler_of_the_page_is_called_with_every_clusters_rows(watched: Watched) -> None:
    wait_until(lambda: watched.loads(MOM) >= 3 and watched.loads(MEMBER) >= 3, WAIT_S)
    with watched.file.open() as file:
        head, *_ = file.read().splitlines()
    assert head == '"time_stamp","cluster_name","node","cpu_percent","load_1m"'


def test_handler_that_blocks_and_one_that_raises_delay_no_heartbeat(watched: Watched) -> None:
    wait_until(lambda: watched.loads(MEMBER) >= 5, WAIT_S)
    blocking, failing, writing = watched.rows("select * from system.federation.heartbeat_handlers")
    assert [one["handler"] for one in (blocking, failing, writing)] == [
        "others:block",
        "others:fail",
        "loads:write",
    ]
    assert (blocking["call_count"], blocking["failed_count"]) == (1, 0)
    assert blocking["busy_since"] is not None
    assert failing["failed_count"] == failing["call_count"]
    assert writing["failed_count"] == 0
    (node,) = watched.rows("select * from system.federation.nodes where mode = 'single'")
    assert node["cluster_state"] == "alive"
    states = watched.rows("select state from system.federation.cluster_states order by since")
    assert [one["state"] for one in states] == ["joining", "alive"]
    failed = watched.events("heartbeat_handler_failed")
    assert failed
    assert failed[0]["handler"] == "others:fail"
    assert "a handler of somebody's" in str(failed[0]["exception"])


def test_wrong_heartbeat_handler_is_refused_with_where_it_was_set(tmp_path: Path) -> None:
    directory = str(tmp_path / "mom")
    assert try_mom("init", "--dir", directory, "--port", "0").returncode == 0
    with (tmp_path / "mom" / "flight-mom.toml").open("a") as file:
        file.write('\n[heartbeat]\nhandlers = ["no_such_module:handle"]\n')
    for command in ("serve", "check-config"):
        refused = try_mom(command, "--dir", directory)
        assert refused.returncode == 2
        assert "heartbeat.handlers: no_such_module:handle" in refused.stderr
        assert "(file flight-mom.toml)" in " ".join(refused.stderr.split())


def killed_mom(home: MomHome) -> "subprocess.Popen[str]":
    """Start a MoM that reports often, on a port of its own; whoever starts it kills it."""
    environment = {
        "FLIGHT_MOM_HEARTBEAT__INTERVAL_S": "0.2",
        "FLIGHT_MOM_HEARTBEAT__COMMIT_S": "1.5",
    }
    with (home.directory.parent / "killed.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603  our own module
            [
                *(sys.executable, "-m", "flight_mom", "serve", "--with-parent"),
                *("--port", "0", "--dir", str(home.directory)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **environment},
        )


def test_what_was_shown_is_there_after_kill_9_and_there_once(tmp_path: Path) -> None:
    flags = {"cluster.name": MOM, "state.directory": str(tmp_path / MOM)}
    home = MomHome.create(load_settings(MomSettings, None, flags).settings)
    password = home.password_file.read_text().strip()
    stamps = "select time_stamp from monitor.heartbeat.cluster_perf order by 1"
    shown: list[object] = []

    def more(client: Client) -> bool:
        found = client.query(stamps).read_all()["time_stamp"].to_pylist()
        # What was shown before is still there, and nothing twice.
        assert set(shown) <= set(found)
        assert len(set(found)) == len(found)
        has_more = len(found) > len(shown) + 3
        shown[:] = found
        return has_more

    for _ in range(3):
        with killed_mom(home) as process:
            assert process.stdout is not None
            uri = process.stdout.readline().removeprefix("serving ").strip()
            try:
                with Client(uri) as client:
                    client.sign_in(f"admin@{MOM}", password)
                    wait_until(lambda: has_table(client), WAIT_S)
                    wait_until(lambda: more(client), WAIT_S)
            finally:
                process.kill()
                process.wait(20)


def has_table(client: Client) -> bool:
    return bool(client.query("SHOW TABLES LIKE 'cluster_perf'").read_all().num_rows)
