"""A federation built by hand with the two commands, over TLS, from nothing."""

import contextlib
import csv
import json
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet
import pytest
from adbc_driver_flightsql import DatabaseOptions, dbapi

from tests.e2e.commands import run_member, run_mom, served, try_member, try_mom
from tests.e2e.factories import make_flights, make_quotes
from tests.waiting import wait_until

MOM_ENV = {"FLIGHT_MOM_SERVER__TLS": "true", "FLIGHT_MOM_HEARTBEAT__INTERVAL_S": "1"}
MEMBER_ENV = {"FLIGHT_MEMBER_SERVER__TLS": "true", "FLIGHT_MEMBER_HEARTBEAT__INTERVAL_S": "1"}
FLIGHTS, QUOTES = "aviation.nyc.flights@hangzhou", "trading.stock.quote@shanghai"
READER = "user1@shanghai"
COUNT = f"select count(*) as n from {FLIGHTS}"


@dataclass(frozen=True)
class Office:
    """The folder of whoever builds the federation, and where its servers answer."""

    folder: Path
    uris: dict[str, str]

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def mom(self, *arguments: str, who: str = "admin") -> CompletedProcess[str]:
        return run_mom(*arguments, env={"FLIGHT_MOM_PROFILE": self.path(f"{who}.json")})

    def quick(self, *arguments: str, who: str = "admin") -> list[dict[str, Any]]:
        """Return what a command prints that is tried as a process of its own elsewhere."""
        done = ok(try_mom(*arguments, "--profile", self.path(f"{who}.json"), "--json"))
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    def mom_rows(self, *arguments: str, who: str = "admin") -> list[dict[str, Any]]:
        done = self.mom(*arguments, "--json", who=who)
        assert done.returncode == 0, done.stderr
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    def login(self, user: str, password_file: str, home: str) -> None:
        ok(
            run_mom(
                *("login", user, "--output", self.path(f"{user.partition('@')[0]}.json")),
                *("--uri", self.uris["headquarters"], "--home-uri", self.uris[home]),
                *("--tls-root-certs", self.path("headquarters/ca.pem")),
                *("--password-file", self.path(password_file)),
            )
        )


def ok(done: CompletedProcess[str]) -> CompletedProcess[str]:
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """headquarters, hangzhou and shanghai: made, joined and served by commands alone."""
    office = Office(tmp_path_factory.mktemp("office"), {})
    folder = office.folder
    ok(run_mom("init", "--dir", office.path("headquarters"), env=MOM_ENV))
    with contextlib.ExitStack() as stack:
        mom = stack.enter_context(served("flight_mom", folder / "headquarters", MOM_ENV))
        office.uris["headquarters"] = mom
        assert mom.startswith("grpc+tls://")
        office.login("admin@headquarters", "headquarters/admin.password", "headquarters")
        for member in ("hangzhou", "shanghai"):
            ok(run_member("init", "--name", member, "--dir", office.path(member)))
            _fill(office, member)
            _join(office, member)
            office.uris[member] = stack.enter_context(
                served("flight_member", folder / member, MEMBER_ENV)
            )
        wait_until(lambda: _is_reported(office), 30)
        office.login(READER, "user1.password", "shanghai")
        yield office


def _fill(office: Office, member: str) -> None:
    directory = ("--dir", office.path(member))
    if member == "hangzhou":
        pyarrow.csv.write_csv(make_flights(600), office.path("flights.csv"))
        parts = ("--partition-by", "origin", "--partition-by", "month")
        ok(
            run_member(
                "load", "aviation.nyc.flights", office.path("flights.csv"), *directory, *parts
            )
        )
        return
    pyarrow.dataset.write_dataset(
        make_quotes(400),
        office.path("outside/quotes"),
        format="parquet",
        partitioning=["trading_day"],
        partitioning_flavor="hive",
    )
    with (office.folder / "shanghai" / "flight-member.toml").open(
        "a", encoding="utf-8"
    ) as settings:
        settings.write(f'\n[tables]\nroots = ["{office.path("outside")}"]\n')
    ok(run_member("attach", "trading.stock.quote", office.path("outside/quotes"), *directory))
    (office.folder / "user1.password").write_text("first password\n", "utf-8")
    password = ("--password-file", office.path("user1.password"))
    ok(
        run_member(
            *("user", "add", "user1", "--read", "trading.stock", "--group", "analysts"),
            *directory,
            *password,
        )
    )


def _join(office: Office, member: str) -> None:
    token = office.folder / f"{member}.join"
    ok(office.mom("member", "add", member, "--host", "127.0.0.1", "--token-file", str(token)))
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    joining = ("join", "--dir", office.path(member), "--token-file", str(token))
    ok(run_member(*joining, env=MEMBER_ENV))
    again = run_member(*joining, env=MEMBER_ENV)
    assert again.returncode == 1
    assert "invalid-token" in again.stderr


def _is_reported(office: Office) -> bool:
    rows = office.quick("clusters")
    # Of the MoM itself it is the table of heartbeats.
    return [row["table_count"] for row in rows if row["state"] == "alive"] == [1, 1, 1]


def test_clusters_are_listed_for_people_and_for_programs(office: Office) -> None:
    rows = office.mom_rows("clusters")
    assert [(row["cluster_name"], row["route"]) for row in rows] == [
        ("hangzhou", "relay"),
        ("headquarters", "relay"),
        ("shanghai", "relay"),
    ]
    shown = ok(office.mom("clusters")).stdout
    assert "cluster_name" in shown
    assert "hangzhou" in shown


def test_a_login_keeps_a_token_and_no_password(office: Office) -> None:
    profile = office.folder / "user1.json"
    assert stat.S_IMODE(profile.stat().st_mode) == 0o600
    kept = json.loads(profile.read_text("utf-8"))
    assert kept["password"] is None
    assert "BEGIN CERTIFICATE" in kept["tls_root_certs"]
    assert "first password" not in profile.read_text("utf-8")


def test_a_grant_opens_a_table_and_a_denial_closes_it(office: Office) -> None:
    assert office.mom("query", COUNT, who="user1").returncode == 1
    grant = ("grant", "TABLE_READ", FLIGHTS, READER, "--until", "2099-01-01T00:00:00Z")
    assert office.mom_rows(*grant) == [{"status": "granted", "warning": None}]
    assert office.quick("query", COUNT, who="user1") == [{"n": 600}]
    listed = office.mom_rows("tables", who="user1")
    tables = [row["table_name"] for row in listed if row["catalog_name"] != "system"]
    assert tables == ["flights", "quote"]
    deny = ("SCHEMA_READ", "aviation.nyc@hangzhou", READER)
    assert office.mom_rows("deny", *deny)[0]["status"] == "denied"
    refused = office.mom("query", COUNT, who="user1")
    assert refused.returncode == 1
    assert refused.stderr.startswith("not-found: ")
    (decided,) = office.mom_rows("explain-access", READER, FLIGHTS)
    assert decided["is_allowed"] is False
    assert "SCHEMA_READ" in decided["rule"]
    for_reader = office.mom_rows("grants", "--for", READER)
    assert {row["effect"] for row in for_reader} == {"ALLOW", "DENY"}
    assert office.quick("grants", "--on", QUOTES) == []
    assert office.mom_rows("revoke", *deny)[0]["status"] == "revoked 1"
    (decided,) = office.quick("explain-access", READER, FLIGHTS)
    assert decided["is_allowed"] is True
    assert office.quick("query", COUNT, who="user1") == [{"n": 600}]


def test_groups_and_grants_are_kept_as_a_file(office: Office) -> None:
    before = office.mom("grants", "export").stdout
    assert office.quick("group", "create", "traders") == [{"status": "created", "warning": None}]
    assert office.quick("group", "add", "traders", READER)[0]["status"] == "added"
    assert office.quick("group", "list") == [{"group_name": "traders", "member": READER}]
    file = office.folder / "grants.toml"
    declared = f'[[grant]]\nallow = "TABLE_READ"\non = "{FLIGHTS}"\nto = "GROUP traders"\n'
    file.write_text(f'[groups]\ntraders = ["{READER}"]\n{declared}', "utf-8")
    added = [{"change": "added", "what": f"ALLOW TABLE_READ ON {FLIGHTS} TO GROUP traders"}]
    assert office.quick("grants", "apply", str(file), "--dry-run") == added
    assert office.quick("grants", "--for", "GROUP traders") == []
    assert office.mom_rows("grants", "apply", str(file)) == added
    assert len(office.quick("grants", "--for", "GROUP traders")) == 1
    readers = {row["user_name"] for row in office.quick("readers", FLIGHTS)}
    assert READER in readers
    assert FLIGHTS in {row["securable"] for row in office.quick("readable", READER)}

    file.write_text(declared.replace("traders", "others"), "utf-8")
    refused = office.mom("grants", "apply", str(file))
    assert (refused.returncode, refused.stderr.partition(":")[0]) == (1, "not-found")
    file.write_text(declared.replace("TABLE_READ", "SELECT"), "utf-8")
    refused = office.mom("grants", "apply", str(file))
    assert refused.returncode == 2
    assert f"{file}: grant 1: 'SELECT' cannot be granted" in refused.stderr

    assert office.quick("group", "remove", "traders", READER)[0]["status"] == "removed"
    assert "with 1 grants" in office.quick("group", "drop", "traders")[0]["status"]
    assert office.mom("grants", "export").stdout == before
    file.write_text(before, "utf-8")
    assert office.quick("grants", "apply", str(file), "--prune") == []


@pytest.fixture
def granted(office: Office) -> None:
    office.quick("grant", "TABLE_READ", FLIGHTS, READER)


@pytest.mark.usefixtures("granted")
def test_a_query_writes_every_format(office: Office) -> None:
    sql = f"select carrier, flight from {FLIGHTS} order by flight limit 3"
    expected = [("AA", 0), ("B6", 1), ("DL", 2)]

    def written(kind: str) -> Path:
        file = office.folder / f"out.{kind}"
        to_file = ("--format", kind, "--output", str(file))
        ok(try_mom("query", sql, *to_file, "--profile", office.path("user1.json")))
        return file

    table = pyarrow.parquet.read_table(written("parquet"))
    with pa.ipc.open_file(written("arrow")) as reader:
        assert reader.read_all().equals(table)
    assert list(zip(*table.to_pydict().values(), strict=True)) == expected
    with written("csv").open(newline="", encoding="utf-8") as lines:
        assert list(csv.reader(lines)) == [
            ["carrier", "flight"],
            *([carrier, str(flight)] for carrier, flight in expected),
        ]
    rows = json.loads(written("json").read_text("utf-8"))
    assert [(row["carrier"], row["flight"]) for row in rows] == expected
    shown = ok(office.mom("query", sql, who="user1")).stdout
    assert "3 rows" in shown
    assert all(carrier in shown for carrier, _ in expected)
    assert ok(office.mom("query", sql, "--format", "csv", who="user1")).stdout.startswith(
        '"carrier"'
    )


@pytest.mark.usefixtures("granted")
def test_a_query_is_read_from_a_file_and_from_standard_input(office: Office) -> None:
    file = office.folder / "count.sql"
    file.write_text(COUNT, "utf-8")
    profile = ("--profile", office.path("user1.json"), "--json")
    for done in (
        try_mom("query", "--file", str(file), *profile),
        run_mom("query", "--file", "-", *profile, stdin=COUNT),
        run_member("query", "--file", str(file), *profile),
    ):
        assert json.loads(ok(done).stdout) == [{"n": 600}]


def test_a_failed_query_leaves_the_old_file(office: Office) -> None:
    file = office.folder / "kept.csv"
    file.write_text("old", "utf-8")
    sql = f"select cast(carrier as int) from {FLIGHTS}"
    done = office.mom("query", sql, "--format", "csv", "--output", str(file), who="user1")
    assert done.returncode == 1
    assert file.read_text("utf-8") == "old"
    assert [one.name for one in office.folder.glob(".kept*")] == []


def test_a_home_table_is_asked_at_home(office: Office) -> None:
    profile = ("--profile", office.path("user1.json"), "--json")
    done = run_member("query", "select count(*) as n from trading.stock.quote", *profile)
    assert json.loads(ok(done).stdout) == [{"n": 400}]


@pytest.mark.usefixtures("granted")
def test_adbc_reads_over_tls_relayed_and_direct(office: Office) -> None:
    me = json.loads((office.folder / "user1.json").read_text("utf-8"))
    options = {
        DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {me['token']}",
        DatabaseOptions.TLS_ROOT_CERTS.value: me["tls_root_certs"],
    }
    for route in ("direct", "relay"):
        assert office.quick("member", "set", "hangzhou", "--route", route) == [
            {"cluster": "hangzhou", "state": "alive"}
        ]
        with (
            dbapi.connect(me["uri"], db_kwargs=options, autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(COUNT)
            assert cursor.fetchall() == [(600,)]


def test_a_server_that_another_ca_signed_is_not_trusted(office: Office, tmp_path: Path) -> None:
    ok(run_mom("init", "--dir", str(tmp_path / "other")))
    me = json.loads((office.folder / "user1.json").read_text("utf-8"))
    me["tls_root_certs"] = (tmp_path / "other" / "ca.pem").read_text("utf-8")
    profile = tmp_path / "profile.json"
    profile.touch(0o600)
    profile.write_text(json.dumps(me), "utf-8")
    done = run_mom("query", "select 1", "--profile", str(profile))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("granted")
def test_a_suspended_member_is_refused_until_resumed(office: Office) -> None:
    assert office.mom_rows("member", "suspend", "hangzhou")[0]["state"] == "suspended"
    refused = try_mom("query", COUNT, "--profile", office.path("user1.json"))
    assert refused.stderr.startswith("cluster-suspended: ")
    assert office.quick("member", "resume", "hangzhou")[0]["state"] == "alive"
    assert office.quick("query", COUNT, who="user1") == [{"n": 600}]


def test_a_named_member_that_never_joined_is_removed(office: Office) -> None:
    added = office.mom("member", "add", "beijing", "--json")
    reply = json.loads(ok(added).stdout)
    assert reply[0]["state"] == "joining"
    assert reply[0]["join_token"].startswith("fmj1.")
    assert office.quick("member", "remove", "beijing") == [
        {"cluster": "beijing", "state": "removed"}
    ]
    token = run_mom("member", "add", "beijing", "--profile", office.path("admin.json"))
    assert ok(token).stdout.startswith("fmj1.")
    assert token.stdout.count("\n") == 1
    office.quick("member", "remove", "beijing")


def test_a_member_lists_its_tables(office: Office) -> None:
    done = ok(run_member("tables", "--dir", office.path("hangzhou"), "--json"))
    (row,) = json.loads(done.stdout)
    assert (row["table"], row["rows"]) == ("aviation.nyc.flights", 600)
    assert row["partitioned_by"] == "origin, month"


@pytest.mark.parametrize("run, name", [(run_mom, "headquarters"), (run_member, "hangzhou")])
def test_check_config_says_where_every_value_comes_from(
    office: Office, run: Any, name: str
) -> None:
    directory = ("--dir", office.path(name))
    done = ok(run("check-config", *directory, "--json"))
    rows = {row["setting"]: row for row in json.loads(done.stdout)}
    assert rows["cluster.name"]["value"] == name
    assert rows["cluster.name"]["source"].startswith("file ")
    assert rows["state.directory"]["source"] == "flag"
    assert rows["heartbeat.interval_s"]["source"] == "default"
    prefix = "FLIGHT_MOM" if run is run_mom else "FLIGHT_MEMBER"
    env = {f"{prefix}_HEARTBEAT__INTERVAL_S": "0", f"{prefix}_SERVER__NONSENSE": "1"}
    refused = run("check-config", *directory, env=env)
    assert refused.returncode == 2
    assert "heartbeat.interval_s" in refused.stderr
    assert f"{prefix}_SERVER__NONSENSE" in refused.stderr


def bad_mom(*arguments: str, code: int, says: str) -> Any:
    run = run_mom if arguments[0] == "serve" else try_mom
    return pytest.param(run, arguments, code, says, id="mom " + " ".join(arguments)[:60])


def bad_member(*arguments: str, code: int, says: str) -> Any:
    run = run_member if arguments[0] == "serve" else try_member
    return pytest.param(run, arguments, code, says, id="member " + " ".join(arguments)[:60])


AS_ADMIN = ("--profile", "{folder}/admin.json")
AS_USER = ("--profile", "{folder}/user1.json")
IN_HEADQUARTERS = ("--dir", "{folder}/headquarters")
IN_HANGZHOU = ("--dir", "{folder}/hangzhou")
TOKEN, ROWS = ("--token-file", "{folder}/flights.csv"), "{folder}/flights.csv"


@pytest.mark.parametrize(
    "run, arguments, code, says",
    [
        bad_mom("query", "select 1", code=2, says="no profile"),
        bad_mom("query", "select 1", "--profile", "/nowhere", code=2, says="profile /nowhere"),
        bad_mom("query", *AS_USER, code=2, says="give one statement"),
        bad_mom("query", "select 1", "--file", "-", *AS_USER, code=2, says="not both"),
        bad_mom("query", "--file", "{folder}/none", *AS_USER, code=2, says="none"),
        bad_mom("query", "select 1", "--format", "xml", *AS_USER, code=2, says="choose one of"),
        bad_mom("query", "select 1", "--format", "arrow", *AS_USER, code=2, says="--output"),
        bad_mom(
            *("query", "select 1 as x", "--format", "csv", "--output", "/nowhere/x", *AS_USER),
            code=2,
            says="/nowhere",
        ),
        bad_mom("query", "selec 1", *AS_USER, code=1, says="sql-syntax"),
        bad_mom("grant", "TABLE_READ", FLIGHTS, READER, *AS_USER, code=1, says="permission-denied"),
        bad_mom("grant", "TABLE_READ", "a.b.c@x", READER, *AS_ADMIN, code=1, says="not-found"),
        bad_mom("grant", "EVERYTHING", FLIGHTS, READER, *AS_ADMIN, code=2, says="EVERYTHING"),
        bad_mom("grant", "TABLE_READ", QUOTES, READER, *AS_ADMIN, code=1, says="home rules apply"),
        bad_mom("grant", "TABLE_READ", FLIGHTS, "x@shanghai", *AS_ADMIN, code=1, says="not-found"),
        bad_mom("grant", "TABLE_READ", FLIGHTS, code=2, says="principal"),
        bad_mom(
            *("grant", "TABLE_READ", FLIGHTS, READER, "--until", "soon", *AS_ADMIN),
            code=2,
            says="2027-01-01",
        ),
        bad_mom("explain-access", READER, "a.b.c@x", *AS_ADMIN, code=1, says="not-found"),
        bad_mom("member", "add", "1bad", *AS_ADMIN, code=1, says="1bad"),
        bad_mom("member", "add", "headquarters", *AS_ADMIN, code=1, says="the MoM itself"),
        bad_mom("member", "add", "x", *AS_USER, code=1, says="permission-denied"),
        bad_mom("member", "set", "hangzhou", "--route", "x", *AS_ADMIN, code=1, says="route"),
        bad_mom("member", "remove", "nowhere", *AS_ADMIN, code=1, says="no member"),
        bad_mom("member", "suspend", "nowhere", *AS_ADMIN, code=1, says="no member"),
        bad_mom("init", "--dir", "{folder}/headquarters", code=2, says="already holds"),
        bad_mom("init", "--dir", "{folder}/x", "--name", "1bad", code=2, says="cluster.name"),
        bad_mom("serve", "--dir", "{folder}/none", code=2, says="run flight-mom init"),
        bad_mom("serve", *IN_HEADQUARTERS, "--port", "{port}", code=3, says="{port}"),
        bad_mom("serve", *IN_HEADQUARTERS, "--port", "99999", code=2, says="port"),
        bad_mom("login", READER, "--output", "{folder}/x", code=2, says="empty"),
        bad_mom(
            *("login", "nobody", "--output", "{folder}/x"),
            *("--password-file", "{folder}/user1.password"),
            code=2,
            says="user@cluster",
        ),
        bad_mom("nonsense", code=2, says="nonsense"),
        bad_member("serve", *IN_HANGZHOU, "--port", "{port}", code=3, says="{port}"),
        bad_member("serve", "--dir", "{folder}/none", code=2, says="run flight-member init"),
        bad_member("init", "--name", "1bad", "--dir", "{folder}/x", code=2, says="cluster.name"),
        bad_member("join", *IN_HANGZHOU, "--token-file", "{folder}/none", code=2, says="none"),
        bad_member("join", *IN_HANGZHOU, *TOKEN, code=1, says="token"),
        bad_member("load", "x", ROWS, *IN_HANGZHOU, code=1, says="catalog.schema"),
        bad_member("load", "a.b.c", "{folder}/none.csv", *IN_HANGZHOU, code=1, says="none.csv"),
        bad_member(
            *("load", "aviation.nyc.flights", ROWS, *IN_HANGZHOU),
            code=1,
            says="exists",
        ),
        bad_member(
            *("load", "a.b.c", ROWS, "--partition-by", "nope", *IN_HANGZHOU),
            code=1,
            says="nope",
        ),
        bad_member("attach", "a.b.c", "/etc", *IN_HANGZHOU, code=1, says="root"),
        bad_member("attach", "a.b.c", "{folder}/outside", *IN_HANGZHOU, code=1, says="root"),
        bad_member(
            *("user", "add", "user1", "--dir", "{folder}/shanghai"),
            *("--password-file", "{folder}/user1.password"),
            code=1,
            says="exists",
        ),
        bad_member(
            *("user", "add", "user9", "--read", "a.b.c@x", "--dir", "{folder}/shanghai"),
            *("--password-file", "{folder}/user1.password"),
            code=2,
            says="granted at the MoM",
        ),
        bad_member(
            *("user", "add", "no user!", "--dir", "{folder}/shanghai"),
            *("--password-file", "{folder}/user1.password"),
            code=1,
            says="name",
        ),
        bad_member("user", "add", "user9", "--dir", "{folder}/shanghai", code=2, says="empty"),
        bad_member("tables", "--dir", "{folder}/none", code=2, says="run flight-member init"),
        bad_member("nonsense", code=2, says="nonsense"),
    ],
)  # fmt: skip
def test_bad_input_is_answered_in_one_line_with_its_exit_code(
    office: Office, run: Any, arguments: Sequence[str], code: int, says: str
) -> None:
    port = office.uris["headquarters"].rpartition(":")[2]
    filled = [part.replace("{folder}", str(office.folder)).replace("{port}", port)
              for part in arguments]  # fmt: skip
    done = run(*filled)
    assert done.returncode == code, done.stdout + done.stderr
    assert says.replace("{port}", port) in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_help_names_every_command() -> None:
    for run, words in (
        (run_mom, "init serve demo query login clusters tables grant deny revoke grants member"),
        (run_member, "init join serve user load attach tables query check-config"),
    ):
        shown = ok(run("--help")).stdout
        assert all(word in shown for word in words.split())
