"""Programs in other languages that ask a server, as their users would write them."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
# `make test-clients` puts here what other languages' registries have.
DOWNLOADS = ROOT / ".clients"
JDBC_DRIVER = DOWNLOADS / "flight-sql-jdbc-driver.jar"
JAVA = ROOT / "tests" / "clients" / "jdbc"
NODE = ROOT / "tests" / "clients" / "node"
# Clients of Python whose requirements contradict ours.
PYTHON = ROOT / ".venv-clients" / "bin" / "python"
PYTHON_PROGRAMS = ROOT / "tests" / "clients" / "python"

# What the driver's memory needs of every Java since 17.
_OPENS = "--add-opens=java.base/java.nio=ALL-UNNAMED"
_ESCAPED = re.compile(r"\\([\\tnr])")
_UNESCAPED = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


def tool(name: str) -> str:
    """Return where a program is; the tests of `make test-clients` need it."""
    found = shutil.which(name)
    assert found is not None, f"{name} is not on the PATH"
    return found


def run(command: list[str], environment: Mapping[str, str], *, timeout_s: float = 100) -> str:
    """Run a program to its end and return what it printed."""
    done = subprocess.run(  # noqa: S603  our own programs
        command,
        env={"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compile_java(into: Path) -> None:
    """Compile the programs of the JDBC driver's tests."""
    sources = [str(source) for source in sorted(JAVA.glob("*.java"))]
    run(
        [tool("javac"), "-Xlint:all", "-Werror", "-encoding", "UTF-8", "-d", str(into), *sources],
        {},
    )


def run_java(program: str, classes: Path, environment: Mapping[str, str]) -> str:
    """Run one of them with the JDBC driver."""
    path = os.pathsep.join([str(JDBC_DRIVER), str(classes)])
    encoding = ["-Dfile.encoding=UTF-8", "-Dsun.stdout.encoding=UTF-8"]
    return run([tool("java"), _OPENS, *encoding, "-cp", path, program], environment)


def read_facts(printed: str) -> dict[str, dict[str, str]]:
    """Return {section: {name: value}} of what a program told."""
    facts: dict[str, dict[str, str]] = {}
    for line in printed.splitlines():
        section, name, value = (_unescape(part) for part in line.split("\t"))
        facts.setdefault(section, {})[name] = value
    return facts


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: _UNESCAPED[found[1]], text)


def run_node(program: str, environment: Mapping[str, str]) -> str:
    """Run one of the programs for Node."""
    return run([tool("node"), str(NODE / program)], environment)
