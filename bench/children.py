"""The benchmark's own processes: modules of this package that end when their input does."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from flight_member.errors import StartupError

_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Child:
    """A running module; `greeting` is the first line it printed."""

    process: "subprocess.Popen[str]"
    greeting: str

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    def ask(self, line: str) -> str:
        """Send one line and return the one that answers it.

        Raises:
            StartupError: When the process has ended; its own words are on standard error.
        """
        if self.process.stdin is None or self.process.stdout is None:
            raise TypeError("a child has pipes")
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise StartupError("a process of the benchmark ended by itself")
        return answer


@contextmanager
def running_child(
    module: str,
    arguments: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    greeted_with: str | None = None,
) -> Iterator[Child]:
    """Run a module for the time of a `with` block.

    Args:
        module: What to run.
        arguments: Its command line.
        env: More than there is in the environment.
        greeted_with: A first line of its input, such as a secret, which no command line holds.

    Raises:
        StartupError: When it ends before it has printed its first line.
    """
    process = subprocess.Popen(  # noqa: S603  our own module, our own arguments
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )
    with process:
        try:
            if greeted_with is not None and process.stdin is not None:
                process.stdin.write(greeted_with + "\n")
                process.stdin.flush()
            greeting = process.stdout.readline() if process.stdout is not None else ""
            if not greeting:
                raise StartupError(f"{module} did not start")
            yield Child(process, greeting.strip())
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
