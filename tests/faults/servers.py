"""A server under faults: a real process that is killed, stopped, told to end, and started again."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.clocks import Clock
from tests.faults.disks import Disk

_START_S = 60.0
_END_S = 30.0


@dataclass
class Server:
    """One process of the federation, with its disk and its clock."""

    name: str
    module: str
    directory: Path
    log_file: Path
    disk: Disk
    clock: Clock
    prefix: Sequence[str]
    settings: Mapping[str, str]
    """Environment variables of settings."""
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def pid(self) -> int | None:
        """The running process, also while it is stopped."""
        is_running = self.process is not None and self.process.poll() is None
        return self.process.pid if is_running and self.process else None

    def start(self) -> None:
        """Start it and wait until it says that it serves."""
        command = [*self.prefix, sys.executable, "-m", self.module, "serve", "--with-parent"]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  our own module, our own arguments
                [*command, "--dir", str(self.directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self.settings, **self.clock.environment},
            )
        # One that hangs while it starts ends, and so does the reading.
        impatient = threading.Timer(_START_S, self.process.kill)
        impatient.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        impatient.cancel()
        if not line.startswith("serving "):
            self._close()
            raise AssertionError(f"{self.name} did not start; its log is {self.log_file}")

    def kill(self) -> None:
        """End it as a power cut does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self._close()

    def terminate(self) -> float:
        """Tell it to end, wait until it did, and return how long that took in seconds."""
        assert self.process is not None
        told_at = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self._close()
        return time.monotonic() - told_at

    def pause(self) -> None:
        """Stop it, as a machine does that sleeps."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it however it is."""
        self.resume()
        if self.process is not None and self.process.poll() is None:
            try:
                self.terminate()
            except subprocess.TimeoutExpired:
                self.kill()

    def _close(self) -> None:
        assert self.process is not None
        self.process.wait(_END_S)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
