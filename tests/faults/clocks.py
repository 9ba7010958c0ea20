"""Clocks that jump while a server runs: a library of ours, preloaded, adds what a file says.

Only the time of day jumps; durations are measured by another clock, as on a real machine. The
library is compiled when a run begins; without a C compiler clocks stay as they are.
"""

import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock.c")


def compile_library(directory: Path) -> Path | None:
    """Return the library, made in a directory; None where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = directory / "clock.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"]
    subprocess.run(command, check=True, timeout=60)  # noqa: S603  our own source
    return library


class Clock:
    """The time of day of one server."""

    def __init__(self, library: Path | None, file: Path) -> None:
        self.can_jump = library is not None
        self.ahead_s = 0
        self._file = file
        self._library = library
        file.write_bytes(struct.pack("=q", 0))

    @property
    def environment(self) -> dict[str, str]:
        """What a server is started with, so that it reads this clock."""
        if self._library is None:
            return {}
        return {"LD_PRELOAD": str(self._library), "TESTS_CLOCK_FILE": str(self._file)}

    def jump(self, ahead_s: int) -> None:
        """Show so many seconds more than the machine's clock from now on."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", ahead_s))
        self.ahead_s = ahead_s
