import os
from pathlib import Path

import pytest

from auth import KeyFileError
from flight_member.errors import ConfigurationError
from flight_member.profiles import (
    Profile,
    make_private_directory,
    read_profile,
    write_private,
    write_profile,
)
from tests.flight_member.factories import mode_of


def make_profile() -> Profile:
    return Profile(
        uri="grpc://127.0.0.1:1",
        home_uri="grpc://127.0.0.1:2",
        username="user1@shanghai",
        password="hunter22",
        token="secret-token",
        cluster="shanghai",
    )


def test_profile_is_read_as_it_was_written_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "profiles" / "user1.json"
    write_profile(file, make_profile())
    assert read_profile(file) == make_profile()
    assert mode_of(file) == 0o600
    assert mode_of(file.parent) == 0o700


def test_profile_shows_no_secret() -> None:
    for text in (repr(make_profile()), str(make_profile())):
        assert "hunter22" not in text
        assert "secret-token" not in text


def test_profile_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "user1.json"
    write_profile(file, make_profile())
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_profile(file)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"password": "hunter22"}'])
def test_profile_that_is_none_is_refused_without_its_content(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "user1.json"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigurationError, match="unusable") as caught:
        read_profile(file)
    assert "hunter22" not in str(caught.value)


def test_missing_profile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_profile(tmp_path / "none.json")


def test_private_file_replaces_a_wide_one_at_once(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert file.read_text() == "new"
    assert mode_of(file) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


def test_private_file_is_not_written_through_somebody_elses_link(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text("")
    # The name that a predictable temporary file would have.
    (tmp_path / f".secret.{os.getpid()}").symlink_to(trap)
    write_private(tmp_path / "secret", "hunter22")
    assert trap.read_text() == ""


def test_private_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be written"):
        write_private(tmp_path / "none" / "secret", "x")


def test_directory_that_others_could_enter_is_closed_to_them(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    directory.mkdir(mode=0o755)
    make_private_directory(directory)
    assert mode_of(directory) == 0o700


def test_directory_that_is_a_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(ConfigurationError):
        make_private_directory(tmp_path / "state")
