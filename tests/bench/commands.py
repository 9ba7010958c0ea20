"""The benchmark as one runs it: a process of its own, unless nothing is measured."""

import subprocess
import sys
from pathlib import Path

from bench.cli import app
from tests.e2e.commands import try_command

ROOT = Path(__file__).parents[2]


def run_bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  our own module
        [sys.executable, "-m", "bench", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


def try_bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run it inside this process: what measures nothing needs no interpreter of its own."""
    return try_command(app, arguments)
