"""Every snippet of the documentation runs: Python against a demo, the walk-through from nothing."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, all_pages, blocks, programs

_WALK = ROOT / "docs" / "getting-started.md"
_README = ROOT / "README.md"
_SERVE = re.compile(r"flight-\w+ serve --dir (?P<directory>\w+) &")
_UNTIL_SERVED = """\
port=$(sed -n 's/^port = //p' {directory}/flight-*.toml)
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.2; done"""
_UNTIL_REPORTED = """\
until [ "$(flight-mom clusters --json | grep -c '"table_count": 1')" = 3 ]; do sleep 0.2; done"""


def python_snippets() -> Iterator[tuple[str, str, str | None]]:
    """Yield a name, the text, and what the page shows below it as its output."""
    for page in all_pages():
        for number, (text, shown) in enumerate(programs(page, "python"), 1):
            yield f"{page.relative_to(ROOT)}:{number}", text, shown


@pytest.mark.parametrize(
    "snippet, shown",
    [pytest.param(text, shown, id=name) for name, text, shown in python_snippets()],
)
def test_python_snippet_runs_against_the_demo(snippet: str, shown: str | None, demo: Path) -> None:
    profile = demo / "profiles" / "user1.json"
    ran = subprocess.run(  # noqa: S603  text of our own pages
        [sys.executable, "-c", snippet],
        env={**os.environ, "FLIGHT_MOM_PROFILE": str(profile)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
    assert shown in {None, ran.stdout}


def test_commands_of_the_readme_run_against_the_demo(demo: Path) -> None:
    commands = [
        line
        for block in blocks(_README, "sh")
        for line in block.splitlines()
        if line.startswith("flight-m")
    ]
    assert commands
    profile = demo / "profiles" / "user1.json"
    for command in commands:
        _run(command, {"FLIGHT_MOM_PROFILE": str(profile)}, demo)


@pytest.mark.timeout(300)  # some twenty commands, each a process of its own
def test_getting_started_works_as_written(tmp_path: Path) -> None:
    script = "\n".join(blocks(_WALK, "sh"))
    for port in ("32010", "32011", "32012"):
        script = script.replace(port, str(_free_port()))
    lines = ["trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for line in script.splitlines():
        # A reader is slower than a server that starts and a member that reports; a script is not.
        if line.startswith("flight-mom clusters"):
            lines.append(_UNTIL_REPORTED)
        lines.append(line)
        served = _SERVE.fullmatch(line)
        if served is not None:
            lines.append(_UNTIL_SERVED.format(directory=served["directory"]))
    output = _run("\n".join(lines), {}, tmp_path)
    for expected in blocks(_WALK, "text"):
        assert expected.strip() in output


def _run(script: str, environment: dict[str, str], directory: Path) -> str:
    bash = shutil.which("bash")
    assert bash is not None
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ran = subprocess.run(  # noqa: S603  text of our own pages
        [bash, "-euc", script],
        env={**os.environ, "PATH": path, "COLUMNS": "100", **environment},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
