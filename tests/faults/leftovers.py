"""What a fault may leave behind and must not: processes, ports, files, faults in the logs."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from flight_mom.momhome import ADMIN
from tests.faults.federation import HANGZHOU, MOM, NAMES, Federation
from tests.faults.oracle import Oracle

# What a state directory may hold, beside tables and rows of heartbeats.
_KNOWN = re.compile(
    r"(state\.db(-wal|-shm|-journal)?|[a-z.]+\.key|[a-z.]+\.pem|[a-z-]+\.toml|keys\.(json|lock)"
    r"|membership\.json|federation\.id|admin\.password)"
)
_FOLDERS = {"tables", "heartbeats", "spill", "handlers"}
# Faults of a server's own: told as `internal`, or by nobody.
_FAULTS = re.compile(r'"call_failed"|^Traceback \(most|panicked at|^Fatal|^Segmentation')
_LISTENS = "0A"
_WAIT_S = 30.0


class Leftovers:
    """What was there before anything failed, to compare with."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._read = dict.fromkeys(NAMES, 0)
        self._others = set(_children()) - set(self._pids())

    def check(self, oracle: Oracle) -> None:
        """Check what must hold while work goes on."""
        self._check_processes(oracle)
        self._check_ports(oracle)
        self._check_files(oracle)
        self._check_logs(oracle)

    def check_quiet(self, oracle: Oracle) -> None:
        """Check what must hold once nobody asks for anything any more."""
        self.check(oracle)
        for name in NAMES:
            self._require(
                oracle, f"{name}: files of spilling", partial(_spilled, self._state(name))
            )
        self._require(oracle, "statements that nobody waits for", self._running)

    def check_tables(self, oracle: Oracle) -> None:
        """Check that tables which are written hold no file but those that their versions name."""
        for name in (MOM, HANGZHOU):
            tables = self._state(name) / "tables"
            self._require(oracle, f"{name}: files of no version", partial(_unnamed, tables))
            state = self._state(name)
            self._require(oracle, f"{name}: what processes left", partial(_abandoned, state))

    def _require(self, oracle: Oracle, what: str, find: Callable[[], list[str]]) -> None:
        """Wait until nothing is left of what was found; what stays is a finding."""
        deadline = time.monotonic() + _WAIT_S
        left = set(find())
        while left:
            if time.monotonic() > deadline:
                oracle.find(f"{what}: {len(left)} are left: {sorted(left)[:3]}")
                return
            time.sleep(0.1)
            # What is being written has no version yet, and is gone or has one soon.
            left &= set(find())

    def _running(self) -> list[str]:
        asked = "system.federation.jobs"
        sql = f"select job_id, cluster_name, kind from {asked} where state in ('running', 'queued')"
        with self._federation.client(ADMIN, MOM) as admin:
            rows = admin.query(sql).read_all().to_pylist()
        # This statement is one itself.
        return [str(row) for row in rows if row["cluster_name"] != MOM]

    def _check_processes(self, oracle: Oracle) -> None:
        extra = set(_children()) - set(self._pids()) - self._others
        for pid in extra:
            try:
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:
                    oracle.find(f"a process was left: {process.cmdline()}")
            except psutil.NoSuchProcess:
                continue

    def _check_ports(self, oracle: Oracle) -> None:
        for name, server in self._federation.servers.items():
            if server.pid is None:
                oracle.find(f"{name} ended by itself")
            elif len(ports := _listening(server.pid)) != 1:
                oracle.find(f"{name} listens on {sorted(ports)}")

    def _check_files(self, oracle: Oracle) -> None:
        for name in NAMES:
            for file in self._state(name).iterdir():
                is_known = file.name in _FOLDERS if file.is_dir() else _KNOWN.fullmatch(file.name)
                if not is_known:
                    oracle.find(f"{name} left the file {file.name}")

    def _check_logs(self, oracle: Oracle) -> None:
        for name, server in self._federation.servers.items():
            with server.log_file.open(encoding="utf-8", errors="replace") as log:
                log.seek(self._read[name])
                for line in log:
                    if _FAULTS.search(line):
                        oracle.find(f"{name} logged a fault of its own: {line.strip()[:3000]}")
                self._read[name] = log.tell()

    def _state(self, name: str) -> Path:
        return self._federation.directory / name / "disk" / "state"

    def _pids(self) -> list[int]:
        return [server.pid for server in self._federation.servers.values() if server.pid]


def _children() -> list[int]:
    return [child.pid for child in psutil.Process().children(recursive=True)]


def _listening(pid: int) -> set[int]:
    """Return the ports on which a process listens, in its own network."""
    process = Path("/proc", str(pid))
    own = set()
    for entry in (process / "fd").iterdir():
        # Closed since it was listed, perhaps.
        with suppress(FileNotFoundError):
            own.add(str(entry.readlink()))
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in (process / "net" / table).read_text("ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENS and f"socket:[{fields[9]}]" in own:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def _spilled(state: Path) -> list[str]:
    return [file.name for file in (state / "spill").rglob("*") if file.is_file()]


def _text(file: Path) -> str:
    """Return what a file holds; nothing when it is gone by now."""
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return ""


def _made_at(folder: Path) -> float:
    """Return when a folder was changed last; of one that is gone by now, the beginning of time."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _unnamed(tables: Path) -> list[str]:
    """Return the data files that no version of their table names."""
    unnamed: list[str] = []
    for table in tables.glob("[!.]*"):
        files = [file for file in table.rglob("*.parquet") if "_delta_log" not in file.parts]
        named = "".join(map(_text, (table / "_delta_log").glob("*.json")))
        unnamed += [str(file) for file in files if file.name not in named]
    return unnamed


def _abandoned(state: Path) -> list[str]:
    """Return the folders of processes that are gone, and what they left half written."""
    left = [str(file) for file in (state / "heartbeats").glob("*/.*")]
    for parent in (state / "tables" / ".snapshots", state / "heartbeats"):
        folders = sorted(parent.glob("*"), key=_made_at)
        left += map(str, folders[:-1])
    return left
