from auth import TicketExplain
from flight_member.explaining import EXPLANATION_SCHEMA, explanation_batch
from storage.explanation import (
    Explanation,
    OperatorExplanation,
    ScanExplanation,
    ScanMeasure,
)
from storage.names import ObjectName

QUOTE = ObjectName("hangzhou", "trading", "stock", "quote")
RULE = "ALLOW TABLE_READ ON trading.stock.quote@hangzhou TO user1@shanghai"
PLAN = OperatorExplanation(
    "Join",
    "inner, on (a, b)",
    (
        OperatorExplanation("Sort", "by a", (OperatorExplanation("Scan", "quote"),)),
        OperatorExplanation("One row"),
    ),
)
SCAN = ScanExplanation(
    table=QUOTE,
    file_count=3,
    file_total=12,
    row_group_count=5,
    row_group_total=4_800,
    byte_count=512,
    byte_total=5 << 20,
    columns=("bid", "day"),
    partition_filters=("day = '2024-01-02'",),
    filters=("bid > 1", "ask = 1 OR ask = 2"),
)


def told(
    explanation: Explanation, *, verbose: bool = False, is_tree: bool = False
) -> list[tuple[str, str]]:
    how = TicketExplain(analyze=False, verbose=verbose, is_tree=is_tree, rules=(RULE,))
    batch = explanation_batch(explanation, how, {QUOTE: RULE}, "hangzhou")
    assert batch.schema == EXPLANATION_SCHEMA
    return [(row["item"], row["value"]) for row in batch.to_pylist()]


def plan_of(explanation: Explanation, *, is_tree: bool) -> list[str]:
    return [value for item, value in told(explanation, is_tree=is_tree) if item == "plan"]


def test_each_reading_says_what_is_left_of_how_much() -> None:
    assert told(Explanation((SCAN,), PLAN))[:9] == [
        ("node", "hangzhou"),
        ("table", "trading.stock.quote@hangzhou"),
        ("allowed by", RULE),
        ("files", "3 of 12"),
        ("row groups", "5 of 4,800"),
        ("bytes", "512 B of 5.0 MiB"),
        ("columns", "bid, day"),
        ("partitions", "day = '2024-01-02'"),
        ("filter", "bid > 1 AND (ask = 1 OR ask = 2)"),
    ]


def test_steps_are_indented_below_what_they_feed() -> None:
    assert plan_of(Explanation((), PLAN), is_tree=False) == [
        "Join: inner, on (a, b)",
        "  Sort: by a",
        "    Scan: quote",
        "  One row",
    ]


def test_tree_hangs_steps_on_what_they_feed() -> None:
    assert plan_of(Explanation((), PLAN), is_tree=True) == [
        "Join: inner, on (a, b)",
        "├─ Sort: by a",
        "│  └─ Scan: quote",
        "└─ One row",
    ]


def test_measured_statement_says_rows_and_times() -> None:
    measured = OperatorExplanation("Scan", "quote", (), 1, 0.0123)
    read = ScanExplanation(QUOTE, 3, 12, 5, 48, 1024, 4096, measure=ScanMeasure(4, 1_000, 2048))
    rows = told(Explanation((read,), measured, 1_234, 2.5))

    assert rows[1:3] == [("rows", "1,234"), ("time", "2.50 s")]
    assert rows[-2:] == [
        ("read", "4 row groups, 1,000 rows, 2.0 KiB"),
        ("plan", "Scan: quote (1 row, 12.3 ms)"),
    ]


def test_readings_of_one_table_are_counted() -> None:
    tables = [value for item, value in told(Explanation((SCAN, SCAN), PLAN)) if item == "table"]
    assert tables == [f"{QUOTE}, reading 1 of 2", f"{QUOTE}, reading 2 of 2"]


def test_long_texts_are_cut_unless_all_is_asked_for() -> None:
    long = Explanation((), OperatorExplanation("Project", "x" * 500))

    assert told(long)[-1][1] == f"Project: {'x' * 119}…"
    assert told(long, verbose=True)[-1][1] == f"Project: {'x' * 500}"


def test_a_literal_cannot_add_lines() -> None:
    scan = ScanExplanation(QUOTE, 0, 1, 0, 1, 0, 1, filters=("a = 'x\nplan\r\x1b[2J\u202e'",))

    assert ("filter", "a = 'x plan  [2J '") in told(Explanation((scan,), PLAN))
