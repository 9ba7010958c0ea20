"""Heartbeats of running servers: what the MoM tells of the clusters and of their nodes."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flight_member import protocol
from flight_member.configuration import load_settings
from flight_member.joining import join_federation
from flight_member.memberhome import MemberHome
from flight_member.settings import MemberSettings
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_mom.membercommands import change_member
from flight_sql import Client
from tests.databases import configured_url
from tests.waiting import wait_until

NODES = "system.federation.nodes"
STATES = "system.federation.cluster_states"
NINGBO = "ningbo"
WAIT_S = 30.0
# A server whose clock was set wrong: every module takes it from the one that is changed here.
_SHIFTED = """
import sys
from datetime import timedelta
from flight_member import clock
now, off = clock.utc_now, timedelta(hours=float(sys.argv.pop(1)))
clock.utc_now = lambda: now() + off
from flight_member.cli import main
main()
"""


def rows(client: Client, sql: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.query(sql).read_all().to_pylist()
    return found


@pytest.fixture
def newcomer(federation: DemoFederation, admin: Client, tmp_path: Path) -> Iterator[MemberHome]:
    """A member that has joined and does not run yet; it leaves with the test."""
    flags = {
        "cluster.name": NINGBO,
        "server.port": 0,
        "state.directory": str(tmp_path / NINGBO),
        "state.database": configured_url(tmp_path / NINGBO),
        "mom.address": federation.uri(MOM),
    }
    home = MemberHome.create(load_settings(MemberSettings, None, flags).settings)
    request = protocol.MembersRequest(action="add", cluster=NINGBO, hosts=("127.0.0.1",))
    join_federation(home, str(change_member(admin, request).join_token))
    yield home
    change_member(admin, protocol.MembersRequest(action="remove", cluster=NINGBO))


@contextlib.contextmanager
def running(home: MemberHome, mom_uri: str, *, hours: float) -> Iterator[None]:
    """Serve a member whose clock is some hours off."""
    with (home.directory.parent / "log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  our own module
            [
                *(sys.executable, "-c", _SHIFTED, str(hours)),
                *("serve", "--with-parent", "--port", "0", "--dir", str(home.directory)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env={**os.environ, "FLIGHT_MEMBER_MOM__ADDRESS": mom_uri},
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)
        assert process.stdin is not None
        process.stdin.close()


def test_nodes_tell_how_they_do_now(admin: Client) -> None:
    told = {str(row["cluster_name"]): row for row in rows(admin, f"select * from {NODES}")}
    assert {HANGZHOU, SHANGHAI} <= set(told)
    node = told[HANGZHOU]
    assert (node["node"], node["mode"], node["is_leader"]) == (HANGZHOU, "single", True)
    assert node["cluster_state"] == "alive"
    for column in ("core_count", "memory_total_bytes", "disk_total_bytes", "process_memory_bytes"):
        assert isinstance(node[column], int)
        assert node[column]
    # Of the second heartbeat on: the first has nothing to compare with.
    wait_until(
        lambda: all(
            row["heartbeat_latency_s"] is not None and row["network_send_bytes_per_s"] is not None
            for row in rows(admin, f"select * from {NODES} where mode = 'single'")
        ),
        WAIT_S,
    )


def test_everybody_is_told_of_their_own_cluster(at_mom: Client, at_home: Client) -> None:
    for client in (at_mom, at_home):
        assert {row["cluster_name"] for row in rows(client, f"select * from {NODES}")} == {SHANGHAI}
        told = rows(client, f"select * from {STATES} order by since")
        assert {row["cluster_name"] for row in told} == {SHANGHAI}
        assert (told[-1]["state"], told[-1]["until"]) == ("alive", None)


@pytest.mark.parametrize("hours", [-5.0, 5.0])
def test_member_whose_clock_is_hours_off_is_as_alive_as_any(
    federation: DemoFederation, admin: Client, newcomer: MemberHome, hours: float
) -> None:
    of_newcomer = f"where cluster_name = '{NINGBO}'"
    with running(newcomer, federation.uri(MOM), hours=hours):
        wait_until(lambda: bool(rows(admin, f"select * from {NODES} {of_newcomer}")), WAIT_S)
        (node,) = rows(admin, f"select * from {NODES} {of_newcomer}")
        assert node["cluster_state"] == "alive"
        received_at, stamp = node["received_at"], node["time_stamp"]
        assert isinstance(received_at, datetime)
        assert isinstance(stamp, datetime)
        assert abs(received_at - datetime.now(UTC)) < timedelta(minutes=5)
        assert abs(stamp - received_at - timedelta(hours=hours)) < timedelta(minutes=5)
        wait_until(
            lambda: (
                [row["state"] for row in rows(admin, f"select * from {STATES} {of_newcomer}")]
                == ["joining", "alive"]
            ),
            WAIT_S,
        )
