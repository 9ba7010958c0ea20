"""How many examples a law is tried on: few and always the same, or many and new ones each time.

`HYPOTHESIS_PROFILE=thorough` asks for the latter; `make hostile` sets it.
"""

import os

from hypothesis import HealthCheck, settings

IS_THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
_TIMES = int(os.environ.get("HYPOTHESIS_TIMES", "100"))


def examples(count: int) -> settings:
    """Return the settings of a law that is tried on `count` examples by default."""
    return settings(
        max_examples=count * _TIMES if IS_THOROUGH else count,
        derandomize=not IS_THOROUGH,
        deadline=None,
        database=None,
        print_blob=IS_THOROUGH,
        suppress_health_check=list(HealthCheck),
    )
