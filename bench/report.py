"""The results at a terminal: one table of medians, one of ratios."""

from collections.abc import Sequence

from rich.table import Table

from bench.contenders import CONTENDERS
from bench.results import Check, Measurement


def measurement_table(measurements: Sequence[Measurement]) -> Table:
    """Return the medians, one row per layout, statement and contender."""
    table = Table(title="medians", title_justify="left", pad_edge=False)
    for column in ("layout", "statement", "contender"):
        table.add_column(column, no_wrap=True)
    for column in ("s", "M rows/s", "MiB/s", "first s", "memory MiB"):
        table.add_column(column, justify="right")
    for one in measurements:
        is_first = one.contender == CONTENDERS[0]
        table.add_row(
            *((one.layout, one.statement) if is_first else ("", "")),
            one.contender,
            f"{one.seconds:.3f}",
            f"{one.rows_per_s / 1e6:,.2f}",
            f"{one.mib_per_s:,.0f}",
            f"{one.first_batch_s:.3f}",
            f"{one.peak_memory_mib:,.0f}",
            end_section=one.contender == CONTENDERS[-1],
        )
    return table


def check_table(checks: Sequence[Check]) -> Table:
    """Return the ratios and targets, one row per layout and statement."""
    names = list(dict.fromkeys(check.name for check in checks))
    table = Table(
        title="ratios; alone is datafusion + flight; targets stand beside what they judge",
        title_justify="left",
        pad_edge=False,
    )
    for column in ("layout", "statement"):
        table.add_column(column, no_wrap=True)
    for name in names:
        table.add_column(name, justify="right")
    rows: dict[tuple[str, str], list[str]] = {}
    for check in checks:
        rows.setdefault((check.layout, check.statement), []).append(_cell(check))
    for key, cells in rows.items():
        table.add_row(*key, *cells)
    return table


def _cell(check: Check) -> str:
    text = f"{check.value:,.0f}" if check.value >= 100 else f"{check.value:.2f}"
    if check.target is None:
        return text
    colour = "green" if check.is_met else "bold red"
    return f"[{colour}]{text} ≤ {check.target:g}[/{colour}]"
