"""What a query may not hold, one module per rule.

Each rule looks at a reading and returns, or raises one refusal. They run in this order, so that
the refusal a reader gets is the most telling one.
"""

from collections.abc import Callable

from planner.reading import Reading
from planner.rules.constructs import check_construct
from planner.rules.functions import check_functions
from planner.rules.generators import check_generators
from planner.rules.grouping import check_grouping
from planner.rules.home_subqueries import check_home_subqueries
from planner.rules.joins import check_joins
from planner.rules.live_tables import check_live_tables
from planner.rules.one_cluster import check_one_cluster
from planner.rules.parameters import check_parameters
from planner.rules.subqueries import check_subqueries
from planner.rules.table_functions import check_table_functions
from planner.rules.windows import check_windows

RULES: tuple[Callable[[Reading], None], ...] = (
    check_parameters,
    check_functions,
    check_table_functions,
    check_live_tables,
    check_one_cluster,
    check_joins,
    check_subqueries,
    check_home_subqueries,
    check_windows,
    check_grouping,
    check_generators,
)

__all__ = ["RULES", "check_construct"]
