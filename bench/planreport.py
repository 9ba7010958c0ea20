"""What was timed many times, at a terminal and as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from rich.table import Table

from bench.planresults import Timing


def timing_table(timings: Sequence[Timing]) -> Table:
    """Return the percentiles, one row per statement and contender."""
    table = Table(title="milliseconds", title_justify="left", pad_edge=False)
    for column in ("statement", "contender"):
        table.add_column(column, no_wrap=True)
    for column in ("p50", "p99", "target"):
        table.add_column(column, justify="right")
    shown = ""
    for one in timings:
        if shown and one.statement != shown:
            table.add_section()
        table.add_row(
            one.statement if one.statement != shown else "",
            one.contender,
            _coloured(one, one.p50_ms, is_judged=not one.is_bound),
            _coloured(one, one.p99_ms, is_judged=one.is_bound),
            "" if one.target_ms is None else f"≤ {one.target_ms:g}",
        )
        shown = one.statement
    return table


def _coloured(one: Timing, value_ms: float, *, is_judged: bool) -> str:
    text = f"{value_ms:.3f}"
    if one.is_met is None or not is_judged:
        return text
    colour = "green" if one.is_met else "bold red"
    return f"[{colour}]{text}[/{colour}]"


def write_timing_plot(timings: Sequence[Timing], file: Path, title: str) -> None:
    """Draw every run as a dot on a logarithmic axis, with median, p99 and target marked."""
    statements = list(dict.fromkeys(one.statement for one in timings))
    contenders = list(dict.fromkeys(one.contender for one in timings))
    figure, axes = plt.subplots(1, len(statements), figsize=(15, 3.8), sharey=True, squeeze=False)
    for panel, statement in zip(axes[0], statements, strict=True):
        for one in timings:
            if one.statement == statement:
                _draw(panel, one, len(contenders) - contenders.index(one.contender))
        panel.set_title(statement, fontsize=10)
        panel.set_xscale("log")
        panel.set_ylim(0.4, len(contenders) + 0.7)
        panel.set_xlabel("ms")
        panel.grid(axis="x", alpha=0.3)
    axes[0][0].set_yticks(range(len(contenders), 0, -1), contenders)
    handles, labels = axes[0][0].get_legend_handles_labels()
    found = dict(zip(labels, handles, strict=True))
    figure.suptitle(title)
    figure.legend(found.values(), found.keys(), loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(file, dpi=120)
    plt.close(figure)


def _draw(panel: Any, one: Timing, at: int) -> None:
    panel.plot(one.run_ms, [at] * len(one.run_ms), ".", color="tab:blue", alpha=0.12, label="run")
    panel.plot(one.p50_ms, at, "|", color="black", markersize=18, label="median")
    panel.plot(one.p99_ms, at, "|", color="tab:orange", markersize=18, label="p99")
    if one.target_ms is not None:
        panel.plot(one.target_ms, at, "|", color="tab:green", markersize=24, label="target")
    panel.annotate(
        f"{one.p50_ms:.2f}",
        (one.p50_ms, at),
        (0, 10),
        textcoords="offset points",
        fontsize=7,
        ha="center",
    )
