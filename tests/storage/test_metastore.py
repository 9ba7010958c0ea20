import pytest

from storage.metastore import Metastore
from storage.names import ObjectName
from tests.storage.metastores import QUOTE, TRADE


def test_table_is_found_by_its_name_alone() -> None:
    metastore = Metastore("hangzhou", 1, [QUOTE])

    assert metastore.table(ObjectName.parse("TRADING.stock.quote@hangzhou")) is QUOTE
    assert metastore.table(TRADE.name) is None


def test_two_tables_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="one name"):
        Metastore("hangzhou", 1, [QUOTE, QUOTE])


def test_cluster_speaks_for_itself_only() -> None:
    with pytest.raises(ValueError, match="must lie in"):
        Metastore("shanghai", 1, [QUOTE])
