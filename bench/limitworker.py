"""A process that plans what it is asked for and tells how long that took.

Each line that it reads is a JSON array of a kind of statement, a table and a size; it answers with
what `Planned` holds. A statement that ends the process ends nothing else.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Literal

from bench.limitstatements import LIMIT_STATEMENTS, LIMIT_TABLES
from planner import Defaults, PlannerError, Query, parse_statement, plan_query

_DEFAULTS = Defaults("shanghai", "bench", "limits")
_TABLES = {table.name: table for table in LIMIT_TABLES}


@dataclass(frozen=True, slots=True)
class Planned:
    """How planning one statement went.

    Attributes:
        outcome: Whether it was planned, refused, or neither within the time.
        code: The refusal's code; empty when it was planned.
        seconds: Processor time from the text to the plan or refusal.
    """

    outcome: Literal["planned", "refused", "unfinished"]
    code: str
    seconds: float


def plan_once(kind: str, table: str, size: int) -> Planned:
    """Plan a statement at first sight."""
    sql = LIMIT_STATEMENTS[kind](_TABLES[table], size)
    started = time.process_time()
    code = ""
    try:
        query = parse_statement(sql, _DEFAULTS)
        if isinstance(query, Query):
            schemas = {each: _TABLES.get(str(each.table), LIMIT_TABLES[0]).schema
                       for each in query.tables}  # fmt: skip
            plan_query(query, schemas)
    except PlannerError as refusal:
        code = refusal.code
    seconds = time.process_time() - started
    return Planned("refused" if code else "planned", code, seconds)


def main() -> None:
    """Answer lines until there are none."""
    for table in LIMIT_TABLES:  # which loads what planning needs
        plan_once("ORDER BY", table.name, 1)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(asdict(plan_once(*json.loads(line)))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
