"""What goes on when a part of the federation is away, suspended, or comes back."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from flight_member import protocol
from flight_mom.demo.federation import HANGZHOU, MEMBERS, MOM, SHANGHAI, DemoFederation
from flight_mom.membercommands import change_member
from flight_sql import REUSE_CONNECTION, Client, RemoteError
from tests.e2e.federation import (
    ADMIN,
    CHIEF,
    COUNT_FLIGHTS,
    COUNT_QUOTES,
    FLIGHTS_AT,
    QUOTES_AT,
    READER,
    count,
    environment,
    kill,
    make_federation,
    refused_sql,
    restart,
    revoke_everything,
)
from tests.waiting import wait_until

TIMEOUT_S = 3.0
COUNT_QUOTES_AT = f"select count(*) as n from {QUOTES_AT}"
GRANT = f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}"


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoFederation]:
    """A federation of its own whose processes are killed, and that counts silence quickly."""
    federation = make_federation(tmp_path_factory.mktemp("fragile"))
    short = {"FLIGHT_MOM_HEARTBEAT__TIMEOUT_S": str(TIMEOUT_S)}
    with environment(short), federation.running():
        yield federation


@pytest.fixture
def root(fragile: DemoFederation) -> Iterator[Client]:
    """Its administrator; everything runs and nothing is granted, before and after."""
    _bring_back(fragile)
    with fragile.client(ADMIN, MOM, at=MOM) as client:
        revoke_everything(client)
    with Client(fragile.uri(MOM)) as client:
        client.sign_in(f"{ADMIN}@{MOM}", fragile.password(ADMIN))
        yield client
    _bring_back(fragile)


def _bring_back(federation: DemoFederation) -> None:
    """Start again whatever does not run, and wait until the MoM has heard from all."""
    for name in (MOM, *MEMBERS):
        if federation.processes[name].process.poll() is not None:
            restart(federation, name)
    with federation.client(ADMIN, MOM, at=MOM) as admin:
        wait_until(lambda: _states(admin) == dict.fromkeys(MEMBERS, "alive"), 20)


def _states(admin: Client) -> dict[str, str]:
    rows = admin.query("SHOW CLUSTERS").read_all().to_pylist()
    members = [row for row in rows if row["cluster_name"] in MEMBERS]
    return {row["cluster_name"]: row["state"] for row in members if row["last_heartbeat_at"]}


def _change(admin: Client, action: str, cluster: str, route: str | None = None) -> str:
    request = protocol.MembersRequest(action=action, cluster=cluster, route=route)
    return change_member(admin, request).state


def _reader(federation: DemoFederation, at: str) -> Client:
    return federation.client("user1", SHANGHAI, at=at)


def test_an_acknowledged_grant_survives_the_death_of_the_mom(
    fragile: DemoFederation, root: Client
) -> None:
    root.update(GRANT)
    kill(fragile, MOM)
    restart(fragile, MOM)
    with fragile.client(ADMIN, MOM, at=MOM) as admin:
        rows = admin.query("SHOW GRANTS").read_all().to_pylist()
        assert [(row["principal"], row["securable"]) for row in rows] == [(READER, FLIGHTS_AT)]
    with _reader(fragile, MOM) as reader:
        assert count(reader, COUNT_FLIGHTS) == 4_000


def test_an_acknowledged_revocation_survives_the_death_of_the_mom(
    fragile: DemoFederation, root: Client
) -> None:
    root.update(GRANT)
    root.update(GRANT.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
    kill(fragile, MOM)
    restart(fragile, MOM)
    with _reader(fragile, MOM) as reader:
        assert refused_sql(reader, COUNT_FLIGHTS).code == "not-found"


def test_tokens_and_tickets_outlive_a_restart_of_the_mom(
    fragile: DemoFederation, root: Client
) -> None:
    root.update(GRANT)
    with _reader(fragile, MOM) as reader:
        (endpoint,) = reader.get_info(COUNT_FLIGHTS).endpoints
        kill(fragile, MOM)
        restart(fragile, MOM)
        again = Client(fragile.uri(MOM), token=reader.token)
    with again:
        assert again.open_ticket(endpoint.handle).read_all()["n"].to_pylist() == [4_000]
        assert count(again, COUNT_FLIGHTS) == 4_000


@pytest.mark.usefixtures("root")
def test_members_serve_their_own_users_while_the_mom_is_away(fragile: DemoFederation) -> None:
    with _reader(fragile, SHANGHAI) as before:
        kill(fragile, MOM)
        assert count(before, COUNT_QUOTES) == 3_000
        with _reader(fragile, SHANGHAI) as signed_in_meanwhile:
            assert count(signed_in_meanwhile, COUNT_QUOTES) == 3_000
            shown = signed_in_meanwhile.query("SHOW TABLES").read_all().to_pylist()
            assert [row["table_name"] for row in shown] == ["quote"]
            tables = "select count(*) as n from information_schema.tables"
            assert count(signed_in_meanwhile, tables) == 1
            for sql in (COUNT_FLIGHTS, f"{tables}@{HANGZHOU}", f"SHOW TABLES FROM *@{HANGZHOU}"):
                error = refused_sql(signed_in_meanwhile, sql)
                assert (error.code, error.retryable) == ("cluster-unavailable", True)


def test_members_come_back_by_themselves_after_the_mom_was_away(
    fragile: DemoFederation, root: Client
) -> None:
    root.update(GRANT)
    kill(fragile, MOM)
    with _reader(fragile, SHANGHAI) as reader:
        assert refused_sql(reader, COUNT_FLIGHTS).code == "cluster-unavailable"
        restart(fragile, MOM)
        with fragile.client(ADMIN, MOM, at=MOM) as admin:
            wait_until(lambda: set(_states(admin)) == set(MEMBERS), 20)
        assert count(reader, COUNT_FLIGHTS) == 4_000


def test_a_stopped_member_is_unavailable_after_the_timeout_and_says_since_when(
    fragile: DemoFederation, root: Client
) -> None:
    root.update(GRANT)
    kill(fragile, HANGZHOU)
    with _reader(fragile, MOM) as reader:
        wait_until(lambda: _states(root)[HANGZHOU] == "dead", TIMEOUT_S * 3)
        error = refused_sql(reader, COUNT_FLIGHTS)
        assert error.code == "cluster-unavailable"
        assert error.retryable
        assert "since" in error.text
        # Whoever may not know of the table learns nothing of its cluster's state.
        with fragile.client("stranger", SHANGHAI, at=MOM) as stranger:
            assert refused_sql(stranger, COUNT_FLIGHTS).code == "not-found"
        restart(fragile, HANGZHOU)
        wait_until(lambda: _states(root)[HANGZHOU] == "alive", 20)
        assert count(reader, COUNT_FLIGHTS) == 4_000


def test_a_member_that_just_died_is_unavailable_on_either_route(
    fragile: DemoFederation, root: Client
) -> None:
    root.update(GRANT)
    with _reader(fragile, MOM) as reader:
        assert count(reader, COUNT_FLIGHTS) == 4_000
        kill(fragile, HANGZHOU)
        for headers in ((), (("x-route", "relay"),)):
            error = refused_sql(reader, COUNT_FLIGHTS, headers=headers)
            assert error.code == "cluster-unavailable"


def test_a_suspended_member_is_refused_by_name_until_it_is_resumed(
    fragile: DemoFederation, root: Client
) -> None:
    root.update(GRANT)
    with _reader(fragile, MOM) as reader, _reader(fragile, SHANGHAI) as at_home:
        (endpoint,) = reader.get_info(COUNT_FLIGHTS).endpoints
        assert _change(root, "suspend", HANGZHOU) == "suspended"
        try:
            for client in (reader, at_home):
                error = refused_sql(client, COUNT_FLIGHTS)
                assert error.code == "cluster-suspended"
                assert HANGZHOU in error.text
            with pytest.raises(RemoteError, match="cluster-suspended"):
                reader.open_ticket(endpoint.handle).read_all()
            with fragile.client("user2", HANGZHOU, at=HANGZHOU) as owner:
                assert count(owner, "select count(*) as n from aviation.nyc.flights") == 4_000
        finally:
            assert _change(root, "resume", HANGZHOU) in {"alive", "suspect"}
        assert count(reader, COUNT_FLIGHTS) == 4_000


def test_the_stricter_of_a_members_route_and_the_header_wins(
    fragile: DemoFederation, root: Client
) -> None:
    root.update(GRANT)
    relay, direct = (("x-route", "relay"),), (("x-route", "direct"),)
    with _reader(fragile, MOM) as reader:

        def locations(headers: tuple[tuple[str, str], ...]) -> list[str]:
            (endpoint,) = reader.get_info(COUNT_FLIGHTS, headers=headers).endpoints
            assert count(reader, COUNT_FLIGHTS, headers=headers) == 4_000
            return list(endpoint.locations)

        through = [fragile.uri(HANGZHOU), REUSE_CONNECTION]
        assert locations(()) == through
        assert locations(direct) == through
        assert locations(relay) == []
        _change(root, "set", HANGZHOU, "relay")
        try:
            assert [locations(()), locations(direct), locations(relay)] == [[], [], []]
        finally:
            _change(root, "set", HANGZHOU, "direct")
        assert locations(()) == through


@pytest.mark.usefixtures("root")
def test_a_member_that_moved_to_another_port_is_found_again(fragile: DemoFederation) -> None:
    before = urlsplit(fragile.uri(SHANGHAI)).port
    kill(fragile, SHANGHAI)
    restart(fragile, SHANGHAI)
    assert urlsplit(fragile.uri(SHANGHAI)).port != before
    with fragile.client(ADMIN, MOM, at=MOM) as admin:
        wait_until(lambda: _states(admin).get(SHANGHAI) == "alive", 20)

    def answers() -> bool:
        try:
            with _reader(fragile, MOM) as reader:
                return count(reader, COUNT_QUOTES_AT) == 3_000
        except RemoteError:
            return False

    wait_until(answers, 20)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("is_new", [False, True], ids=["insert", "create"])
def test_a_member_that_is_killed_while_it_writes_has_the_old_tables_and_no_litter(
    fragile: DemoFederation, is_new: bool
) -> None:
    tables = fragile.directory / HANGZHOU / "tables"
    endless = (
        "WITH RECURSIVE r AS (SELECT CAST(1 AS BIGINT) AS n UNION ALL SELECT n + 1 FROM r "
        "WHERE n > 0) SELECT n FROM r"
    )
    with fragile.client(CHIEF, HANGZHOU, at=HANGZHOU) as chief:
        chief.update("CREATE CATALOG IF NOT EXISTS killed")
        chief.update("CREATE SCHEMA IF NOT EXISTS killed.notes")
        chief.update("CREATE OR REPLACE TABLE killed.notes.kept AS SELECT CAST(1 AS BIGINT) AS n")
        before = _files(tables)
        write = "CREATE TABLE killed.notes.fresh AS" if is_new else "INSERT INTO killed.notes.kept"

        def run() -> None:
            with suppress(RemoteError):
                chief.update(f"{write} {endless}")

        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: bool(_files(tables) - before))
        kill(fragile, HANGZHOU)
        thread.join(30)
    restart(fragile, HANGZHOU)
    with fragile.client(CHIEF, HANGZHOU, at=HANGZHOU) as chief:
        assert count(chief, "select count(*) as n from killed.notes.kept") == 1
        assert refused_sql(chief, "select * from killed.notes.fresh").code == "not-found"
        # Whoever writes next removes what was left.
        chief.update("INSERT INTO killed.notes.kept VALUES (2)")
        chief.update("CREATE TABLE killed.notes.fresh (n BIGINT)")
        assert count(chief, "select count(*) as n from killed.notes.kept") == 2
        chief.update("DROP TABLE killed.notes.fresh")
        left = {file.suffix for file in _files(tables) - before if file.is_file()}
        assert sorted(left) == [".json", ".parquet"]
        chief.update("DROP CATALOG killed CASCADE")


def _files(tables: Path) -> set[Path]:
    """Return what lies there of tables, but for versions that are laid out to be read."""
    return {file for file in tables.rglob("*") if ".snapshots" not in file.parts}


def test_logs_hold_no_password_and_no_token(fragile: DemoFederation, root: Client) -> None:
    passwords = [fragile.password(user) for user in (ADMIN, "user1", "user2")]
    texts = [file.read_text("utf-8") for file in Path(fragile.directory).glob("*.log")]
    assert len(texts) == 3
    for secret in (*passwords, str(root.token)):
        assert not any(secret in text for text in texts)
    assert not any("Traceback" in text for text in texts)
