from collections.abc import Iterator

import pytest

from storage.datafusionengine import DataFusionEngine


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFusionEngine]:
    made = DataFusionEngine(
        memory_limit_bytes=64 * 1024 * 1024,
        spill_directory=tmp_path_factory.mktemp("spill"),
        target_partitions=2,
    )
    yield made
    made.close()
