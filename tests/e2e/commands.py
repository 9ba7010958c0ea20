"""The two commands as a user runs them: subprocesses, their output and their exit codes."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
from typer import Typer
from typer.testing import CliRunner

from flight_member.cli import app as flight_member_app
from flight_mom.cli import app as flight_mom_app

_START_S = 60.0


def run_mom(
    *arguments: str, env: Mapping[str, str] | None = None, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run `flight-mom` to its end."""
    return _run("flight_mom", arguments, env, stdin)


def run_member(
    *arguments: str, env: Mapping[str, str] | None = None, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run `flight-member` to its end."""
    return _run("flight_member", arguments, env, stdin)


def _run(
    module: str, arguments: Sequence[str], env: Mapping[str, str] | None, stdin: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  our own module
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        input=stdin,
        timeout=100,
        check=False,
        env={**os.environ, "COLUMNS": "200", **(env or {})},
    )


def try_mom(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `flight-mom` inside this process: what fails at once needs no interpreter of its own."""
    return try_command(flight_mom_app, arguments)


def try_member(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `flight-member` inside this process."""
    return try_command(flight_member_app, arguments)


def try_command(app: Typer, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command of one of the programs inside this process."""
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"}, input="")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


@contextlib.contextmanager
def served(module: str, directory: Path, env: Mapping[str, str]) -> Iterator[str]:
    """Run `serve` on a free port for the time of a `with` block; yields the URI."""
    with (directory.parent / f"{directory.name}.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  our own module
            [
                *(sys.executable, "-m", module, "serve", "--with-parent"),
                *("--dir", str(directory), "--port", "0"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **env},
        )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving "), line
        try:
            yield line.removeprefix("serving ").strip()
        finally:
            process.terminate()
            assert process.wait(10) == 0


@dataclass
class DemoProcess:
    """A running `flight-mom demo` that serves, and ends with the tests however they end."""

    directory: Path
    process: "subprocess.Popen[bytes]"

    @classmethod
    @contextlib.contextmanager
    def serving(cls, directory: Path, *arguments: str) -> Iterator[Self]:
        """Run the demo until its story is over and it serves; stop it afterwards."""
        output = directory.parent / f"{directory.name}.out"
        # A run that was killed leaves its file behind.
        (directory / "ready").unlink(missing_ok=True)
        with output.open("ab") as out:
            process = subprocess.Popen(  # noqa: S603  our own module
                [
                    *(sys.executable, "-m", "flight_mom", "demo"),
                    *("--dir", str(directory), "--port", "0", "--with-parent", *arguments),
                ],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
            )
        demo = cls(directory, process)
        try:
            demo._wait_for_ready(output)
            yield demo
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(15)
            assert process.stdin is not None
            process.stdin.close()

    @property
    def ready_file(self) -> Path:
        return self.directory / "ready"

    def family(self) -> list[psutil.Process]:
        """Return the demo's own process and its servers."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def _wait_for_ready(self, output: Path) -> None:
        deadline = time.monotonic() + _START_S
        while not self.ready_file.exists():
            assert self.process.poll() is None, output.read_text("utf-8")
            assert time.monotonic() < deadline, output.read_text("utf-8")
            time.sleep(0.1)


def living(family: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Return those of some processes that still run."""
    return [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
