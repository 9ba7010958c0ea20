"""The example of EXPLAIN shows what the demo really answers."""

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT, blocks

_PAGE = ROOT / "docs" / "sql.md"


def test_example_of_explain_is_what_the_demo_answers(demo: Path) -> None:
    (code,) = (text for text in blocks(_PAGE, "python") if "EXPLAIN" in text)
    ran = subprocess.run(  # noqa: S603  text of our own page
        [sys.executable, "-c", code],
        env={**os.environ, "FLIGHT_MOM_PROFILE": str(demo / "profiles" / "user1.json")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stderr == ""
    (shown,) = (text for text in blocks(_PAGE, "text") if text.startswith("node "))
    assert ran.stdout.splitlines() == shown.splitlines()
