"""What `flight-mom demo` promises: profiles, the ready file, resuming, stopping, exit codes."""

import json
import signal
import socket
import stat
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.dataset
import pytest

from flight_mom.demo.federation import HANGZHOU, MEMBERS
from flight_sql import Client
from tests.e2e.commands import DemoProcess, living, run_mom, try_mom
from tests.e2e.conftest import RealDemo
from tests.e2e.factories import make_flights
from tests.e2e.federation import (
    COUNT_FLIGHTS,
    COUNT_QUOTES,
    FLIGHTS_AT,
    READER,
    count,
    make_federation,
)
from tests.waiting import wait_until

STOP_S = 5.0
PROFILE_KEYS = {
    *("uri", "other_uris", "home_uri", "username", "password", "token", "expires_at"),
    *("tls_root_certs", "cluster"),
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo's directory whose tables are there already, and small."""
    directory = tmp_path_factory.mktemp("demos") / "small"
    make_federation(directory)
    return directory


def profile_at(directory: Path, user: str) -> dict[str, str]:
    text = (directory / "profiles" / f"{user}.json").read_text("utf-8")
    profile: dict[str, str] = json.loads(text)
    return profile


def test_the_story_comes_out_on_the_real_data(demo: RealDemo) -> None:
    assert demo.first_run.returncode == 0, demo.first_run.stdout
    assert "the story came out as it should" in demo.first_run.stdout
    assert "differs" not in demo.first_run.stdout


@pytest.mark.parametrize("user", ["admin", "user1", "user2"])
def test_profiles_hold_what_clients_need_and_are_their_owners_alone(
    demo: RealDemo, user: str
) -> None:
    file = demo.directory / "profiles" / f"{user}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    profile = demo.profile(user)
    assert set(profile) == PROFILE_KEYS
    assert profile["username"] == f"{user}@{profile['cluster']}"
    with Client(profile["uri"], token=profile["token"]) as client:
        assert client.query("SHOW TABLES").read_all().num_rows >= (user != "admin")


def test_nothing_private_is_readable_by_others(demo: RealDemo) -> None:
    private = [
        file
        for file in demo.directory.rglob("*")
        # The logs of tables are like their rows: what they lie in is closed to others.
        if (file.suffix in {".key", ".json", ".password"} and "_delta_log" not in file.parts)
        or file.parent.name == "passwords"
    ]
    assert len(private) >= 10
    assert {stat.S_IMODE(file.stat().st_mode) for file in private} == {0o600}
    for server in ("headquarters", "hangzhou", "shanghai"):
        assert stat.S_IMODE(demo.directory.joinpath(server).stat().st_mode) == 0o700


def test_a_story_that_comes_out_otherwise_fails(directory: Path) -> None:
    # The small tables have other counts than the story expects.
    done = run_mom("demo", "--dir", str(directory), "--port", "0", "--once")
    assert done.returncode == 1
    assert "steps differ" in done.stdout
    assert not (directory / "ready").exists()


def test_a_second_run_goes_on_with_data_keys_and_grants(directory: Path) -> None:
    key = (directory / "headquarters" / "signing.key").read_bytes()
    with DemoProcess.serving(directory):
        admin = profile_at(directory, "admin")
        with Client(admin["uri"], token=admin["token"]) as client:
            client.update(f"GRANT CATALOG_READ ON payroll@hangzhou TO {READER}")
    assert not (directory / "ready").exists()
    with DemoProcess.serving(directory) as demo:
        assert demo.ready_file.exists()
        reader = profile_at(directory, "user1")
        with Client(reader["uri"], token=reader["token"]) as client:
            counted = count(client, "select count(*) as n from payroll.hr.salaries@hangzhou")
            assert counted == 50
            assert count(client, COUNT_FLIGHTS) == 4_000
    assert (directory / "headquarters" / "signing.key").read_bytes() == key


def test_a_taken_port_is_named_and_exits_with_three(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run_mom("demo", "--dir", str(tmp_path / "demo"), "--port", port)
    assert done.returncode == 3
    assert port in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_stops_all_processes_in_time(directory: Path, number: signal.Signals) -> None:
    with DemoProcess.serving(directory) as demo:
        family = demo.family()
        assert len(family) == 1 + 1 + len(MEMBERS)
        started = time.monotonic()
        demo.process.send_signal(number)
        assert demo.process.wait(STOP_S + 5) == 0
        assert time.monotonic() - started < STOP_S
        assert living(family) == []
        assert not demo.ready_file.exists()


def test_demo_whose_own_parent_is_gone_stops_all_processes(directory: Path) -> None:
    with DemoProcess.serving(directory) as demo:
        family = demo.family()
        assert demo.process.stdin is not None
        demo.process.stdin.close()
        assert demo.process.wait(STOP_S + 5) == 0
        assert living(family) == []


def test_killing_the_parent_leaves_no_process_behind(directory: Path) -> None:
    with DemoProcess.serving(directory) as demo:
        family = demo.family()
        demo.process.kill()
        wait_until(lambda: not living(family), STOP_S + 1)


def test_a_process_that_ends_by_itself_is_named_and_ends_the_demo(directory: Path) -> None:
    with DemoProcess.serving(directory) as demo:
        family = demo.family()
        (hangzhou,) = [one for one in family if _serves(one, HANGZHOU)]
        hangzhou.kill()
        assert demo.process.wait(10) == 3
        assert living(family) == []
    output = directory.parent / f"{directory.name}.out"
    assert "hangzhou ended by itself" in output.read_text("utf-8")


def test_an_attached_directory_is_a_table_of_its_member(directory: Path, tmp_path: Path) -> None:
    _write_partitioned(make_flights(1_000), tmp_path / "more")
    with DemoProcess.serving(
        directory, "--attach", f"hangzhou:aviation.nyc.more={tmp_path / 'more'}"
    ):
        user2 = profile_at(directory, "user2")
        with Client(user2["home_uri"], token=user2["token"]) as client:
            assert count(client, "select count(*) as n from aviation.nyc.more") == 1_000
            filtered = "select count(*) as n from aviation.nyc.more where origin = 'JFK'"
            assert count(client, filtered) == 500


@pytest.mark.parametrize(
    "value",
    [
        "",
        "hangzhou",
        "hangzhou:aviation.nyc.more",
        "aviation.nyc.more=/",
        "hangzhou:more={there}",
        "hangzhou:aviation.nyc={there}",
        "hangzhou:a.b.c.d={there}",
        "hangzhou:a.b.c@shanghai={there}",
        "headquarters:aviation.nyc.more={there}",
        "nowhere:aviation.nyc.more={there}",
        "hangzhou:aviation.nyc.1more={there}",
        "hangzhou:aviation.nyc.more={there}/missing",
    ],
)
def test_a_bad_attach_is_refused_before_anything_starts(tmp_path: Path, value: str) -> None:
    target = tmp_path / "demo"
    given = value.replace("{there}", str(tmp_path))
    done = try_mom("demo", "--dir", str(target), "--port", "0", "--once", "--attach", given)
    assert done.returncode == 2, done.stderr
    assert "--attach" in done.stderr
    assert not target.exists()


def test_an_attached_directory_without_parquet_is_refused(directory: Path, tmp_path: Path) -> None:
    done = run_mom(
        *("demo", "--dir", str(directory), "--port", "0", "--once"),
        *("--attach", f"hangzhou:aviation.nyc.none={tmp_path}"),
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_the_demo_tells_how_to_connect(directory: Path) -> None:
    with DemoProcess.serving(directory):
        output = (directory.parent / f"{directory.name}.out").read_text("utf-8")
        said = output.rpartition("the federation is served")[2]
        assert "flight-mom query --profile" in said
        user1 = profile_at(directory, "user1")
        assert user1["uri"] in said
        with Client(user1["home_uri"], token=user1["token"]) as client:
            assert count(client, COUNT_QUOTES) == 3_000
            assert count(client, f"select count(*) as n from {FLIGHTS_AT}") == 4_000


def _serves(process: psutil.Process, cluster: str) -> bool:
    arguments: Sequence[str] = process.cmdline()
    return any(argument.endswith(f"/{cluster}") for argument in arguments)


def _write_partitioned(table: pa.Table, directory: Path) -> None:
    pyarrow.dataset.write_dataset(
        table,
        directory,
        format="parquet",
        partitioning=["origin", "month"],
        partitioning_flavor="hive",
    )
