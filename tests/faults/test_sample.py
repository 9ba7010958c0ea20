"""Everything fails once that can fail here, and all that is promised holds."""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def test_sample_of_faults_breaks_no_promise() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--sample"],
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
