"""Users, groups and rules of a member that has joined nothing, by its own statements."""

import base64
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flight_member.memberhome import MemberHome
from flight_member.server import MemberServer
from flight_member.users import UserDesk
from flight_sql import Client, RemoteError
from storage.names import ObjectName
from storage.ownerstore import OwnerStore
from tests.flight_member.factories import (
    PASSWORD,
    QUOTE,
    SHANGHAI,
    add_user,
    audited,
    load_quotes,
    make_home,
)

AT = f"{QUOTE}@{SHANGHAI}"
COUNT = f"SELECT count(*) AS n FROM {QUOTE}"
SECRET = "hunter2 is not a password"
SECOND = "trading.bonds.quote"


class Member:
    """A running member with its administrator `chief`, and user1 who may read everything."""

    def __init__(self, directory: Path) -> None:
        self.home = make_home(directory)
        load_quotes(self.home)
        load_quotes(self.home, SECOND)
        add_user(self.home, "chief", readable=(), is_admin=True)
        add_user(self.home, "user1", groups=("analysts",))
        add_user(self.home, "user2", readable=())
        self.server = MemberServer(self.home.settings)
        self.server.start()
        self.chief = self.sign_in("chief")

    def sign_in(self, user: str, password: str = PASSWORD) -> Client:
        client = Client(self.server._flight.uri)
        client.sign_in(user, password)
        return client

    def stop(self) -> None:
        self.chief.close()
        self.server.stop(1)

    def rows(self, sql: str, client: Client | None = None, **options: Any) -> list[dict[str, Any]]:
        client = client or self.chief
        found: list[dict[str, Any]] = client.query(sql, **options).read_all().to_pylist()
        return found

    def say(self, sql: str, client: Client | None = None, **options: Any) -> list[str]:
        return [row["status"] for row in self.rows(sql, client, **options)]

    def fault(self, sql: str, client: Client | None = None) -> RemoteError:
        with pytest.raises(RemoteError) as refusal:
            self.rows(sql, client)
        return refusal.value

    def can_read(self, user: str, password: str = PASSWORD) -> bool:
        with self.sign_in(user, password) as client:
            try:
                return self.rows(COUNT, client) == [{"n": 100}]
            except RemoteError as error:
                return error.code != "not-found"


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    member = Member(tmp_path_factory.mktemp("alone") / SHANGHAI)
    yield member
    member.stop()


def test_user_is_made_reads_what_is_granted_changes_and_is_dropped(member: Member) -> None:
    assert member.say("CREATE USER maria PASSWORD 'first one' IN GROUP analysts") == ["created"]
    assert not member.can_read("maria", "first one")
    assert member.say(f"GRANT TABLE_READ ON {QUOTE} TO maria") == ["granted"]
    assert member.can_read("maria", "first one")
    old = member.sign_in("maria", "first one")
    assert member.say("ALTER USER maria PASSWORD 'second one'") == ["changed"]
    with closing(old):
        assert member.fault(COUNT, old).code == "revoked-token"
    with pytest.raises(RemoteError, match="invalid-token"):
        member.sign_in("maria", "first one")
    assert member.can_read("maria", "second one")
    assert member.say("ALTER USER maria LOCK") == ["changed"]
    with pytest.raises(RemoteError):
        member.sign_in("maria", "second one")
    assert member.say("ALTER USER maria UNLOCK") == ["changed"]
    assert member.say("ALTER USER maria REMOVE GROUP analysts") == ["removed"]
    assert member.say("ALTER USER maria REMOVE GROUP analysts") == ["is no member"]
    assert member.say("DROP USER maria@shanghai") == ["dropped"]
    assert member.fault("DROP USER maria").code == "not-found"
    # Whoever gets the name is somebody else.
    member.say("CREATE USER maria PASSWORD 'third one'")
    assert not member.can_read("maria", "third one")
    member.say("DROP USER maria")


def test_user_without_a_password_cannot_sign_in_until_one_is_given(member: Member) -> None:
    member.say("CREATE USER quiet ADMIN")
    for password in ("", "!", PASSWORD):
        with pytest.raises((RemoteError, ValueError)):
            member.sign_in("quiet", password)
    assert member.say("ALTER USER quiet PASSWORD ?", parameters=["a new one"]) == ["changed"]
    with member.sign_in("quiet", "a new one") as quiet:
        assert member.say("ALTER USER user2 LOCK", quiet) == ["changed"]
        assert member.say("ALTER USER user2 UNLOCK", quiet) == ["changed"]
    assert member.say("ALTER USER quiet NO ADMIN") == ["changed"]
    with member.sign_in("quiet", "a new one") as quiet:
        assert member.fault("ALTER USER quiet ADMIN", quiet).code == "permission-denied"
    member.say("DROP USER quiet")


def pieces(handle: bytes) -> bytes:
    """Return what a signed value holds, read."""
    return handle + b"".join(
        base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)) for part in handle.split(b".")[:2]
    )


def test_password_is_in_no_log_audit_handle_ticket_error_or_file(
    member: Member, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    client, seen = member.chief, b""
    for number, (sql, bound) in enumerate(
        [
            (f"CREATE USER hidden PASSWORD '{SECRET}'", None),
            (f"ALTER USER hidden PASSWORD '{SECRET}'", None),
            ("ALTER USER hidden PASSWORD ?", SECRET),
            ("ALTER USER hidden PASSWORD $1", SECRET),
        ]
    ):
        prepared = client.prepare(sql)
        assert (prepared.parameter_schema is not None) is (bound is not None)
        seen += pieces(prepared.handle)
        info = client.get_info(sql, parameters=None if bound is None else [bound])
        seen += b"".join(pieces(endpoint.handle) for endpoint in info.endpoints)
        assert client.open_ticket(info.endpoints[0].handle).read_all().num_rows == 1, number
        member.sign_in("hidden", SECRET).close()
    seen += str(member.fault(f"CREATE USER hidden PASSWORD '{SECRET}'")).encode()
    seen += str(member.fault(f"ALTER USER nobody PASSWORD '{SECRET}'")).encode()
    seen += str(member.fault(f"ALTER USER x@hangzhou PASSWORD '{SECRET}'")).encode()
    seen += str(member.fault(f"ALTER USER hidden PASSWORD '{SECRET}' {SECRET}")).encode()
    seen += str(audited(member.server._database)).encode()
    seen += caplog.text.encode() + "".join(capfd.readouterr()).encode()
    for file in member.home.directory.rglob("*"):
        seen += file.read_bytes() if file.is_file() else b""
    assert SECRET.encode() not in seen
    assert base64.b64encode(SECRET.encode()).rstrip(b"=")[:-1] not in seen
    member.say("DROP USER hidden")


def test_password_is_bound_by_clients_that_prepare(member: Member) -> None:
    member.say("CREATE USER bound")
    values = pa.record_batch({"1": ["by batch"]})
    assert member.say("ALTER USER bound PASSWORD ?", parameters=values) == ["changed"]
    member.sign_in("bound", "by batch").close()
    for values in (pa.record_batch({"1": [7]}), pa.record_batch({"1": ["a", "b"]})):
        with pytest.raises(RemoteError, match="invalid-request"):
            member.rows("ALTER USER bound PASSWORD ?", parameters=values)
    assert member.fault("ALTER USER bound PASSWORD ?").code == "invalid-request"
    assert member.fault("ALTER USER bound PASSWORD ''").code == "unusable-password"
    assert member.fault("ALTER USER bound PASSWORD HASH '$argon2id$v=19$m=8,t=1,p=1$aa$bb'")
    member.say("DROP USER bound")


def test_groups_are_made_filled_granted_and_dropped(member: Member) -> None:
    assert member.say("CREATE GROUP brokers") == ["created"]
    assert member.fault("CREATE GROUP brokers@shanghai").code == "already-exists"
    assert member.say("GRANT SCHEMA_READ ON trading.stock TO GROUP brokers") == ["granted"]
    assert not member.can_read("user2")
    assert member.say("ALTER GROUP brokers ADD user2, user1") == ["added", "added"]
    assert member.say("ALTER GROUP brokers ADD user2") == ["is a member already"]
    assert member.can_read("user2")
    groups = {(row["group_name"], row["member"]) for row in member.rows("SHOW GROUPS")}
    assert ("brokers@shanghai", "user2@shanghai") in groups
    with member.sign_in("user2") as user2:
        assert member.rows("SHOW GROUPS", user2) == [
            {"group_name": "brokers@shanghai", "member": "user2@shanghai"}
        ]
        assert [row["user_name"] for row in member.rows("SHOW USERS", user2)] == ["user2@shanghai"]
    assert [row["user_name"] for row in member.rows("SHOW USERS")] == [
        "chief@shanghai",
        "user1@shanghai",
        "user2@shanghai",
    ]
    assert member.say("DROP GROUP brokers") == ["dropped"]
    assert not member.can_read("user2")
    assert member.fault("DROP GROUP brokers").code == "not-found"
    member.say("CREATE GROUP brokers")
    member.say("ALTER USER user2 ADD GROUP brokers")
    # What was allowed went with the group that had the name before.
    assert not member.can_read("user2")
    member.say("DROP GROUP brokers")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE USER intruder PASSWORD 'x' ADMIN",
        "ALTER USER chief PASSWORD 'x'",
        "ALTER USER user2 ADMIN",
        "ALTER USER user2 PASSWORD 'x'",
        "ALTER USER user1 LOCK",
        "DROP USER chief",
        "CREATE GROUP g",
        "DROP GROUP analysts",
        "ALTER GROUP analysts ADD user2",
        f"DENY TABLE_READ ON {QUOTE} TO VISITORS",
        "GRANT CATALOG_READ ON *@shanghai TO user2",
        "EXPLAIN ACCESS OF user1 TO trading.stock.quote",
        "SHOW READERS OF trading.stock.quote",
        "SHOW TABLES FOR user1",
    ],
)
def test_only_administrators_do_it_and_tries_are_audited(member: Member, sql: str) -> None:
    with member.sign_in("user2") as user2:
        error = member.fault(sql, user2)
    assert (error.code, error.status) == ("permission-denied", "PERMISSION_DENIED")
    record = audited(member.server._database)[-1]
    assert (record.actor, record.allowed) == ("user2@shanghai", False)


def test_who_may_not_know_an_object_grants_nothing_on_it_as_if_it_were_not_there(
    member: Member,
) -> None:
    with member.sign_in("user2") as user2, member.sign_in("user1") as user1:
        hidden = member.fault(f"GRANT TABLE_READ ON {QUOTE} TO user2", user2)
        missing = member.fault("GRANT TABLE_READ ON trading.stock.nothing TO user2", user2)
        assert hidden.code == "not-found"
        assert str(missing) == str(hidden).replace(AT, "trading.stock.nothing@shanghai")
        assert member.fault(f"GRANT TABLE_READ ON {QUOTE} TO user2", user1).code == (
            "permission-denied"
        )


def own(member: Member, name: str, owner: str | None) -> None:
    with member.server._database.change() as connection:
        OwnerStore(connection).set_owner(ObjectName.parse(f"{name}@{SHANGHAI}"), owner)
    member.server._state.refresh()


def test_owner_reads_grants_and_sees_who_may_what(member: Member) -> None:
    own(member, QUOTE, "user2@shanghai")
    with member.sign_in("user2") as user2:
        assert member.rows(COUNT, user2) == [{"n": 100}]
        assert member.say(f"DENY TABLE_READ ON {QUOTE} TO user1", user2) == ["denied"]
        assert not member.can_read("user1")
        assert member.rows(f"GRANT TABLE_READ ON {QUOTE} TO GROUP analysts", user2) == [
            {"status": "granted", "warning": None}
        ]
        assert "has no effect while" in str(
            member.rows(f"GRANT TABLE_READ ON {QUOTE} TO user1", user2)[0]["warning"]
        )
        shown = member.rows(f"SHOW GRANTS ON {QUOTE}", user2)
        assert {row["principal"] for row in shown} >= {"user1@shanghai", "GROUP analysts@shanghai"}
        assert member.rows(f"SHOW READERS OF {QUOTE}", user2) == [
            {"user_name": "user2@shanghai", "rule": f"user2@shanghai owns {AT}"}
        ]
        assert member.fault(f"SHOW READERS OF {SECOND}", user2).code == "permission-denied"
        assert member.fault(f"GRANT TABLE_READ ON {SECOND} TO user2", user2).code == "not-found"
        member.say(f"REVOKE TABLE_READ ON {QUOTE} FROM user1, GROUP analysts", user2)
    member.say("ALTER USER user2 LOCK")
    member.say("ALTER USER user2 UNLOCK")
    assert member.rows(f"EXPLAIN ACCESS OF user2 TO {QUOTE}") == [
        {
            "principal": "user2@shanghai",
            "securable": AT,
            "is_allowed": True,
            "rule": f"user2@shanghai owns {AT}",
        }
    ]
    own(member, QUOTE, None)
    assert [row["is_allowed"] for row in member.rows(f"EXPLAIN ACCESS OF user2 TO {QUOTE}")] == [
        False
    ]


def test_what_a_dropped_user_owned_is_the_administrators_and_nobodys_who_gets_the_name(
    member: Member,
) -> None:
    member.say("CREATE USER founder PASSWORD 'old one'")
    own(member, QUOTE, "founder@shanghai")
    assert member.can_read("founder", "old one")
    member.say("DROP USER founder")
    record = next(
        one for one in audited(member.server._database)[::-1] if one.action == "change owner"
    )
    assert record.object == AT
    member.say("CREATE USER founder PASSWORD 'new one'")
    assert not member.can_read("founder", "new one")
    table = member.server._state.snapshot.table(ObjectName.parse(AT))
    assert table is not None
    assert table.owner is None
    member.say("DROP USER founder")


def test_readable_and_readers_are_told_without_a_mom(member: Member) -> None:
    tables = member.rows("SHOW TABLES FOR user1")
    assert [row["securable"] for row in tables] == [f"{SECOND}@{SHANGHAI}", AT]
    assert [row["user_name"] for row in member.rows(f"SHOW READERS OF {QUOTE}")] == [
        "user1@shanghai"
    ]
    with member.sign_in("user1") as user1:
        (row,) = member.rows(f"EXPLAIN ACCESS OF user1 TO {QUOTE}", user1)
        assert row["rule"] == "ALLOW CATALOG_READ ON *@shanghai TO user1@shanghai"
        assert len(member.rows("SHOW TABLES FOR user1", user1)) == len(tables)
    for sql in ("EXPLAIN ACCESS OF nobody TO trading.stock.quote", "SHOW TABLES FOR nobody"):
        assert member.fault(sql).code == "not-found"


@pytest.mark.parametrize(
    "sql, words",
    [
        ("ALTER USER user1@hangzhou LOCK", "is a user of hangzhou"),
        ("ALTER GROUP analysts ADD x@hangzhou", "is for users of shanghai"),
        (f"GRANT TABLE_WRITE ON {QUOTE} TO x@hangzhou", "visitors read, and write nothing"),
        ("DENY SCHEMA_USAGE ON trading.stock TO VISITORS", "visitors read, and write nothing"),
    ],
)
def test_what_is_not_this_members_to_say_is_refused(member: Member, sql: str, words: str) -> None:
    error = member.fault(sql)
    assert error.code == "statement-not-supported"
    assert words in str(error)


def test_rules_on_writing_stay_at_home(member: Member) -> None:
    state = member.server._state
    before = state.report.version
    assert member.say("GRANT SCHEMA_WRITE ON trading.stock TO user2 UNTIL '2099-01-01T00:00:00Z'")
    assert state.report.version == before
    assert "SCHEMA_WRITE" not in state.report.model_dump_json()
    assert member.say("REVOKE SCHEMA_WRITE ON trading.stock FROM user2") == ["revoked 1"]
    assert not member.can_read("user2")


def test_removal_at_the_terminal_takes_what_was_owned_as_well(
    home: MemberHome,
) -> None:
    load_quotes(home)
    add_user(home, "user7")
    with closing(home.open_database()) as database:
        with database.change() as connection:
            OwnerStore(connection).set_owner(ObjectName.parse(AT), "user7@shanghai")
        UserDesk(home).remove("user7")
        with database.change() as connection:
            assert OwnerStore(connection).disown("user7@shanghai") == []
