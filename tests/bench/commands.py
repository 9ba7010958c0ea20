"""The benchmark as one runs it: a process of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  our own module
        [sys.executable, "-m", "bench", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
