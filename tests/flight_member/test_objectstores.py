"""Object stores of a member: their settings, and tables attached at the terminal."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flight_member.cli import app
from flight_member.configuration import load_settings
from flight_member.errors import ConfigurationError
from flight_member.memberhome import MemberHome
from flight_member.settings import MemberSettings
from flight_member.tables import TableDesk
from storage.errors import StoreUnavailableError
from tests.objectstores import running_s3

SECRET = "quite-secret-indeed"


def entry(directory: Path, **changes: object) -> dict[str, object]:
    file = directory / "s3.secret"
    file.write_text(f"{SECRET}\n", "utf-8")
    told = {"url": "s3://lake/open/", "key_id": "AKIATESTS", "secret_file": str(file)}
    return {**told, **changes}


def flags(*entries: Mapping[str, object]) -> dict[str, object]:
    return {"cluster.name": "shanghai", "tables.object_stores": list(entries)}


def fault_of(*entries: dict[str, object]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(MemberSettings, None, flags(*entries))
    (fault,) = caught.value.faults
    return fault


def test_secret_is_read_from_its_file_and_not_shown(tmp_path: Path) -> None:
    loaded = load_settings(MemberSettings, None, flags(entry(tmp_path)))
    assert not [one for one in loaded.effective() if SECRET in one.value]
    (store,) = MemberHome(loaded.settings).object_stores
    assert (store.secret, store.url) == (SECRET, "s3://lake/open")
    assert store.endpoint == "https://s3.us-east-1.amazonaws.com"


@pytest.mark.parametrize("content", [None, "", "\n", b"\xff"])
def test_secret_that_cannot_be_read_is_a_fault(tmp_path: Path, content: str | bytes | None) -> None:
    file = tmp_path / "other.secret"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    told = entry(tmp_path, secret_file=str(file))
    home = MemberHome(load_settings(MemberSettings, None, flags(told)).settings)
    with pytest.raises(ConfigurationError, match="holds no secret that can be read"):
        _ = home.object_stores


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"url": "https://lake"}, "write s3://bucket/prefix"),
        ({"url": "s3://"}, "write s3://bucket/prefix"),
        ({"url": "s3://lake/*"}, "write s3://bucket/prefix"),
        ({"url": "s3://lake/../x"}, "write s3://bucket/prefix"),
        ({"endpoint": "s3.example.com"}, "endpoint is not https://host:port"),
        ({"endpoint": "https://me:hidden@s3.example.com"}, "endpoint is not https://host:port"),
        ({"endpoint": "http://s3.example.com"}, "set insecure_plaintext"),
        ({"secret": SECRET}, "Extra inputs are not permitted"),
    ],
)
def test_unsafe_entry_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    fault = fault_of(entry(tmp_path, **changes))
    assert words in fault
    assert SECRET not in fault
    assert "hidden" not in fault


def test_plaintext_is_for_loopback_unless_its_danger_is_named(tmp_path: Path) -> None:
    near = entry(tmp_path, endpoint="http://127.0.0.1:9000")
    far = entry(
        tmp_path, url="s3://pond", endpoint="http://s3.example.com", insecure_plaintext=True
    )
    loaded = load_settings(MemberSettings, None, flags(near, far))
    assert [each.is_plaintext for each in MemberHome(loaded.settings).object_stores] == [True, True]


def test_bucket_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    assert "a bucket is there twice" in fault_of(
        entry(tmp_path), entry(tmp_path, url="s3://lake/other")
    )


def test_table_is_attached_at_the_terminal_and_its_changes_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_s3() as s3:
        location = s3.write_days("open/days", days=2)
        told = {**flags(s3.settings(tmp_path, "open")), "state.directory": str(tmp_path / "home")}
        home = MemberHome.create(load_settings(MemberSettings, None, told).settings)
        monkeypatch.setattr("flight_member.cli._home", lambda _: home)
        outside = CliRunner().invoke(app, ["attach", "lake.raw.no", "s3://lake/other/days"])
        assert outside.exit_code != 0
        attached = CliRunner().invoke(app, ["attach", "lake.raw.days", location])
        assert "8 rows in 2 files, partitioned by day" in attached.stdout
        desk = TableDesk.open(home)
        assert not desk.rescan()
        s3.write_day("open/days", 3)
        assert desk.rescan()
        (table,) = desk.all()
        assert (table.row_count, table.location) == (12, location)
    # The server is gone: the last state stays, and statements are told why.
    assert not desk.rescan()
    assert desk.all() == [table]
    with pytest.raises(StoreUnavailableError, match=r"days.*: the object store does"):
        desk.require_readable({table.id})
