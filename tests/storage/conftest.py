from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.engine import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(
        memory_limit_bytes=64 * 1024 * 1024,
        spill_directory=tmp_path / "spill",
        target_partitions=2,
    )
    yield made
    made.close()
