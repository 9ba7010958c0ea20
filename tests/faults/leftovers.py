"""What a fault may leave behind and must not: processes, ports, files, faults in the logs."""

import re
from pathlib import Path

import psutil

from tests.faults.federation import NAMES, Federation
from tests.faults.oracle import Oracle

# What a state directory may hold, beside tables and rows of heartbeats.
_KNOWN = re.compile(
    r"(state\.db(-wal|-shm|-journal)?|[a-z.]+\.key|[a-z.]+\.pem|[a-z-]+\.toml|keys\.(json|lock)"
    r"|membership\.json|federation\.id|admin\.password)"
)
_FOLDERS = {"tables", "heartbeats", "spill", "handlers"}
_FAULTS = ("call_failed", "Traceback (most recent call last)", "panicked at")


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
            spill = self._state(name) / "spill"
            left = [file.name for file in spill.rglob("*") if file.is_file()]
            if left:
                oracle.find(f"{name} left {len(left)} files of spilling, {left[:3]}")

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
                continue
            connections = psutil.Process(server.pid).net_connections(kind="tcp")
            ports = {one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN}
            if len(ports) != 1:
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
                    if any(fault in line for fault in _FAULTS):
                        oracle.find(f"{name} logged a fault of its own: {line.strip()[:3000]}")
                self._read[name] = log.tell()

    def _state(self, name: str) -> Path:
        return self._federation.directory / name / "disk" / "state"

    def _pids(self) -> list[int]:
        return [server.pid for server in self._federation.servers.values() if server.pid]


def _children() -> list[int]:
    return [child.pid for child in psutil.Process().children(recursive=True)]
