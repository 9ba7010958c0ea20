"""Where and when something was measured."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

_VERSIONS = ("pyarrow", "datafusion", "adbc-driver-flightsql", "sqlglot")


def described_machine() -> dict[str, object]:
    """Return the cores, the system and the versions that count, as JSON values."""
    return {
        "cores": os.cpu_count(),
        "system": platform.system(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in _VERSIONS},
    }


def measured_now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
