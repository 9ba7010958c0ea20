"""The pages that are made from the code are what the code makes."""

import subprocess
import sys

import pytest

from tests.docs.generate import DOCS, PAGES, help_of
from tests.docs.pages import ROOT


@pytest.mark.parametrize("name", PAGES)
def test_page_is_what_its_source_makes(name: str) -> None:
    made = PAGES[name]()
    written = (DOCS / name).read_text("utf-8")
    assert written == made, "run: .venv/bin/python -m tests.docs.generate"


@pytest.mark.parametrize("program", ["flight-mom", "flight-member"])
def test_page_shows_what_the_program_really_prints(program: str) -> None:
    printed = subprocess.run(  # noqa: S603  our own module
        [sys.executable, "-m", program.replace("-", "_"), "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    shown = help_of((program,))
    for line in (line for line in shown.splitlines() if line.startswith("│ ")):
        command = line.split()[1]
        if not command.startswith("--") and command.islower():
            assert command in printed
