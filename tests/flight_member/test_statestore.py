import threading
from pathlib import Path

import pytest

from auth import hash_password
from auth.userstore import UserStore
from auth.userstore import metadata as user_tables
from flight_member.errors import ConfigurationError
from flight_member.statestore import Database
from tests.databases import state_url
from tests.flight_member.factories import mode_of

OWNER = "the member shanghai"
HASH = hash_password("correct horse battery")


def make_database(directory: Path) -> Database:
    return Database(state_url(directory), OWNER, user_tables)


def make_sqlite(directory: Path) -> Database:
    return Database(f"sqlite:///{directory / 'state.db'}", OWNER, user_tables)


def names(database: Database) -> set[str]:
    with database.read() as connection:
        return {user.name for user in UserStore(connection).all()}


def test_change_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = make_database(tmp_path)

    def fail() -> None:
        with database.change() as connection:
            UserStore(connection).add("user1", HASH)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names(database) == set()
    with database.change() as connection:
        UserStore(connection).add("user1", HASH)
    assert names(database) == {"user1"}
    database.close()


def test_two_writers_wait_for_each_other(tmp_path: Path) -> None:
    databases = [make_database(tmp_path) for _ in range(2)]
    failures: list[Exception] = []

    def write(which: int) -> None:
        try:
            for number in range(20):
                with databases[which].change() as connection:
                    store = UserStore(connection)
                    # Reading first is what makes two writers collide when neither holds the lock.
                    store.all()
                    store.add(f"user{which}x{number}", HASH)
        except Exception as error:  # noqa: BLE001  whatever it is fails the test
            failures.append(error)

    threads = [threading.Thread(target=write, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(names(databases[0])) == 40
    for database in databases:
        database.close()


def test_reader_sees_one_state_from_start_to_end(tmp_path: Path) -> None:
    reader, writer = make_database(tmp_path), make_database(tmp_path)
    with reader.read() as connection:
        before = UserStore(connection).all()
        with writer.change() as changing:
            UserStore(changing).add("user1", HASH)
        assert UserStore(connection).all() == before
    assert names(reader) == {"user1"}
    reader.close()
    writer.close()


def test_sqlite_is_set_to_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    database = make_sqlite(tmp_path)
    with database.read() as connection:
        asked = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert asked == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }
    database.close()


def test_database_and_what_sqlite_puts_beside_it_are_the_owners_alone(tmp_path: Path) -> None:
    database = make_sqlite(tmp_path)
    with database.change() as connection:
        UserStore(connection).add("user1", HASH)
        modes = {file.name: mode_of(file) for file in tmp_path.iterdir()}
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    database.close()


def test_database_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    make_sqlite(tmp_path).close()
    (tmp_path / "state.db").chmod(0o644)
    make_sqlite(tmp_path).close()
    assert mode_of(tmp_path / "state.db") == 0o600


def test_database_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Database("sqlite:///:memory:", OWNER).close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "url, fault",
    [
        ("nonsense", "no URL of a database"),
        ("nodb://u:hunter22@h/x", "driver"),
        ("mysql://u:hunter22@h/x", "driver"),
        ("sqlite:////nowhere/x/y.db", "No such file"),
        ("postgresql+psycopg://u:hunter22@127.0.0.1:1/x", "does not answer"),
    ],
)
def test_database_that_cannot_be_opened_is_a_fault_of_the_settings(url: str, fault: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database(url, OWNER, user_tables)
    assert "state.database" in str(caught.value)
    assert fault in str(caught.value)
    assert "hunter22" not in str(caught.value)


def test_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    make_database(tmp_path).close()
    with pytest.raises(ConfigurationError, match="holds the state of the member shanghai already"):
        Database(state_url(tmp_path), "the MoM headquarters", user_tables)
    make_database(tmp_path).close()
