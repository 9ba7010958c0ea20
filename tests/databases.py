"""Where servers under test keep their state: SQLite, or a PostgreSQL that the tests start.

`pytest --state-database postgresql` runs any test of the suite on PostgreSQL; each directory of a
test then has a database of its own.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

_START_S = 30.0
_DEBIAN = "/usr/lib/postgresql/*/bin"
_started: "list[PostgresServer]" = []

# It ends with its standard input, so that it never outlives the tests.
_RUN = '"$@" <&- & server=$!; cat > /dev/null; kill -INT $server; wait $server'


class PostgresServer:
    """A PostgreSQL that listens on a socket in a directory of its own, for whoever may enter it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: set[str] = set()
        data = directory / "data"
        # PostgreSQL does not run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(directory, self._user)
        subprocess.run(  # noqa: S603  our own arguments
            [_tool("initdb"), "--auth=trust", "--username=tests", "--encoding=UTF8", str(data)],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._user,
            cwd=directory,
        )
        command = [_tool("postgres"), "-D", str(data), "-k", str(directory), "-h", ""]
        # Nobody cuts its power here; what our servers do when they are killed does not hang on it.
        command += ["-c", "fsync=off"]
        with (directory / "log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  likewise
                ["/bin/sh", "-c", _RUN, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=directory,
            )

    def url(self, database: str) -> str:
        """Return where a database is; it is made when it is not there yet."""
        if database not in self._made:
            assert self._use("createdb", database)
            self._made.add(database)
        return self._url(database)

    @property
    def socket(self) -> str:
        """The Unix socket that it listens on."""
        return str(self._directory / ".s.PGSQL.5432")

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + _START_S
        while not self._use("pg_isready", "-q"):
            assert self._process.poll() is None, (self._directory / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL did not start in time"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it and forget everything."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(_START_S)
        shutil.rmtree(self._directory)

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://tests@/{database}?host={self._directory}"

    def _use(self, tool: str, *arguments: str) -> bool:
        """Run one of PostgreSQL's own programs; returns whether it succeeded."""
        command = [_tool(tool), "-h", str(self._directory), "-U", "tests", *arguments]
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)  # noqa: S603  ours
        return done.returncode == 0


def start_postgresql() -> None:
    """Keep the state of every server from now on in a PostgreSQL of our own."""
    server = PostgresServer(Path(tempfile.mkdtemp(prefix="pg")))
    _started.append(server)
    server.wait()


def stop_postgresql() -> None:
    """Stop what was started, if anything was."""
    while _started:
        _started.pop().stop()


def configured_url(directory: Path) -> str:
    """Return the setting `state.database` of a server with this state directory; often empty."""
    if not _started:
        return ""
    name = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    return _started[0].url(f"state_{name}")


def state_url(directory: Path) -> str:
    """Return the database of a test that has this directory for its own."""
    return configured_url(directory) or f"sqlite:///{directory / 'state.db'}"


def _tool(name: str) -> str:
    found = [shutil.which(name), *map(str, sorted(Path("/").glob(f"{_DEBIAN[1:]}/{name}")))]
    tool = next(filter(None, found), None)
    assert tool, f"{name} is not installed; install Debian's package postgresql"
    return tool
