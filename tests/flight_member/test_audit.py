"""The audit as operators keep it: trimmed, noted in the log, shown, exported, checked."""

import json
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet
import pytest

from auth import AuditRecord
from auth.auditstore import AuditStore
from flight_member.audit import AuditTrail
from flight_member.clock import utc_now
from flight_member.memberhome import MemberHome
from flight_member.settings import AuditSection
from flight_member.statestore import Database
from tests.e2e.commands import try_member
from tests.flight_member.factories import audited
from tests.waiting import wait_until


def write(database: Database, *days_ago: int) -> None:
    with database.change() as connection:
        for age in days_ago:
            at = utc_now() - timedelta(days=age)
            AuditStore(connection).append(
                AuditRecord(
                    at=at, actor="user1@shanghai", source="ipv4:127.0.0.1:1", action="read",
                    object=f"a.b.c{age}@hangzhou", allowed=age % 2 == 0,
                )
            )  # fmt: skip


def test_old_records_are_forgotten_and_that_is_recorded(database: Database) -> None:
    write(database, 40, 31, 29, 1)
    trail = AuditTrail("shanghai", database, AuditSection(keep_days=30), utc_now)
    try:
        wait_until(lambda: any(record.action == "trim audit" for record in audited(database)))
    finally:
        trail.close()
    kept = [record.object for record in audited(database)]
    assert kept == ["a.b.c29@hangzhou", "a.b.c1@hangzhou", "2 records"]
    with database.read() as connection:
        assert AuditStore(connection).verify().faults == ()


def test_nothing_is_forgotten_by_default(database: Database) -> None:
    write(database, 4000)
    AuditTrail("shanghai", database, AuditSection(), utc_now).close()
    assert [record.object for record in audited(database)] == ["a.b.c4000@hangzhou"]


def test_server_notes_the_newest_record_in_its_log(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    write(database, 1)
    AuditTrail("shanghai", database, AuditSection(), utc_now).close()
    with database.read() as connection:
        anchor = str(AuditStore(connection).verify().anchor)
    logged = capsys.readouterr()
    assert "audit_head" in logged.out + logged.err
    assert anchor in logged.out + logged.err


def test_commands_show_export_and_verify(home: MemberHome, database: Database) -> None:
    MemberHome.create(home.settings)
    write(database, 3, 2, 1)
    at = ("--dir", str(home.directory))
    shown = try_member("audit", "show", *at, "--refused", "--json")
    assert shown.returncode == 0, shown.stderr
    assert [row["object"] for row in json.loads(shown.stdout)] == [
        "a.b.c3@hangzhou",
        "a.b.c1@hangzhou",
    ]

    file = home.directory / "audit.parquet"
    done = try_member("audit", "export", *at, "--format", "parquet", "--output", str(file))
    assert done.returncode == 0, done.stderr
    exported = pyarrow.parquet.read_table(file)
    assert exported["object"].to_pylist() == [f"a.b.c{age}@hangzhou" for age in (3, 2, 1)]

    whole = try_member("audit", "verify", *at, "--json")
    assert whole.returncode == 0, whole.stderr
    [answer] = json.loads(whole.stdout)
    assert (answer["is_whole"], answer["rows"], answer["faults"]) == (True, 3, [])

    with database.change() as connection:
        connection.exec_driver_sql("update audit set actor = 'nobody' where id = 2")
    broken = try_member("audit", "verify", *at, "--anchor", answer["anchor"])
    assert broken.returncode == 1
    assert "row 2, or the digest before it, was changed" in broken.stderr


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (("verify", "--anchor", "yesterday"), "invalid-anchor: an anchor is a row's number"),
        (("show", "--since", "yesterday"), "--since yesterday: write it as"),
        (("export", "--format", "parquet"), "--format parquet needs a file"),
        (("export", "--format", "xml"), "--format xml: choose one of"),
    ],
)
def test_bad_arguments_are_explained(
    home: MemberHome, database: Database, arguments: tuple[str, ...], expected: str
) -> None:
    del database
    MemberHome.create(home.settings)
    done = try_member("audit", *arguments, "--dir", str(home.directory))
    assert done.returncode in {1, 2}
    assert expected in done.stderr


def test_directory_of_nobody_is_refused(tmp_path: Path) -> None:
    done = try_member("audit", "show", "--dir", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "no such directory" in done.stderr
