from contextlib import closing
from pathlib import Path

import pytest

from auth import verify_password
from auth.userstore import UserStore
from flight_member.errors import ConfigurationError
from flight_mom.momhome import MomHome
from flight_mom.settings import MomSettings
from tests.flight_member.factories import mode_of
from tests.flight_mom.factories import make_mom_settings

# What is given to everybody; nobody but the owner enters the directory all the same.
PUBLIC = {"ca.pem", "tls.pem"}


def make_home(directory: Path) -> MomHome:
    # In the directory too when the other tests use another database.
    return MomHome.create(make_mom_settings(directory, state__database=""))


def admin_hash(home: MomHome) -> str:
    with closing(home.open_database()) as database, database.read() as connection:
        (admin,) = UserStore(connection).all()
    assert admin.is_admin
    return admin.password_hash


def test_federation_is_its_owners_alone(tmp_path: Path) -> None:
    home = make_home(tmp_path / "mom")
    modes = {file.name: mode_of(file) for file in home.directory.iterdir()}
    assert mode_of(home.directory) == 0o700
    assert {"signing.key", "ca.key", "tls.key", "admin.password", "state.db"} <= set(modes)
    assert {mode for name, mode in modes.items() if name not in PUBLIC} == {0o600}


def test_directory_that_others_could_enter_is_closed_to_them(tmp_path: Path) -> None:
    directory = tmp_path / "mom"
    directory.mkdir(mode=0o755)
    make_home(directory)
    assert mode_of(directory) == 0o700


def test_administrators_password_is_in_its_file_and_hashed_in_the_database(tmp_path: Path) -> None:
    home = make_home(tmp_path / "mom")
    password = home.password_file.read_text().strip()
    assert verify_password(password, admin_hash(home))
    assert password.encode() not in (home.directory / "state.db").read_bytes()


def test_second_federation_in_one_directory_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    home = make_home(tmp_path / "mom")
    before = {file: file.read_bytes() for file in home.directory.iterdir()}
    with pytest.raises(ConfigurationError, match="already holds a federation"):
        make_home(tmp_path / "mom")
    assert {file: file.read_bytes() for file in home.directory.iterdir()} == before


def test_init_that_was_cut_short_can_be_run_again(tmp_path: Path) -> None:
    home = make_home(tmp_path / "mom")
    home.signing_key_file.unlink()
    again = make_home(tmp_path / "mom")
    password = again.password_file.read_text().strip()
    assert verify_password(password, admin_hash(again))
    assert again.load_authority().fingerprint
    assert again.load_key()


def test_directory_that_is_no_moms_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="flight-mom init"):
        MomHome(make_mom_settings(tmp_path)).load_key()


def test_moms_settings_say_so() -> None:
    assert MomSettings.model_fields["role"].default == "mom"
