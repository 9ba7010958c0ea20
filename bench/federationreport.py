"""What very many members cost a MoM, at a terminal and as a picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from rich.table import Table

from bench.federationresults import ALONE, CPU, HERD_ASKED, LISTING, MEANWHILE, Mark

_BINS = 50


def mark_table(marks: Sequence[Mark]) -> Table:
    """Return one row per mark; the target is the value's."""
    table = Table(pad_edge=False)
    table.add_column("", no_wrap=True)
    for column in ("value", "p99", "target", ""):
        table.add_column(column, justify="right")
    for one in marks:
        colour = {True: "green", False: "bold red", None: "default"}[one.is_met]
        table.add_row(
            one.name,
            f"[{colour}]{one.value:,.2f}[/{colour}]",
            "" if one.p99 is None else f"{one.p99:,.2f}",
            "" if one.target is None else f"≤ {one.target:g}",
            one.unit,
        )
    return table


def write_mark_plot(marks: Sequence[Mark], file: Path, title: str) -> None:
    """Draw the MoM's CPU over time, the statement's times with beats and without, the listing's."""
    by_name = {one.name: one for one in marks}
    picture, (cpu, asked, listed) = plt.subplots(1, 3, figsize=(13, 3.8))
    _draw_over_time(cpu, by_name[CPU])
    told = ((ALONE, "tab:green"), (MEANWHILE, "tab:orange"), (HERD_ASKED, "tab:red"))
    for name, colour in told:
        _draw_times(asked, by_name[name], colour)
    asked.set_title("one routed statement", fontsize=10)
    _draw_times(listed, by_name[LISTING], "tab:blue")
    listed.set_title("one listing", fontsize=10)
    picture.suptitle(title)
    picture.tight_layout()
    picture.savefig(file, dpi=120)
    plt.close(picture)


def _draw_over_time(panel: Axes, one: Mark) -> None:
    panel.plot(one.values, color="tab:blue", label=one.name)
    panel.axhline(one.value, color="black", label="mean")
    if one.target is not None:
        panel.axhline(one.target, color="tab:green", linestyle="--", label="target for the mean")
    panel.set_ylim(bottom=0)
    panel.set_title(one.name, fontsize=10)
    panel.set_xlabel("s")
    panel.set_ylabel(one.unit)
    panel.legend(frameon=False)


def _draw_times(panel: Axes, one: Mark, colour: str) -> None:
    panel.hist(one.values, bins=_BINS, alpha=0.6, color=colour, label=one.name)
    panel.axvline(one.value, color=colour)
    if one.target is not None:
        panel.axvline(one.target, color="tab:green", linestyle="--", label="target for the median")
    panel.set_xlabel(one.unit)
    panel.legend(frameon=False)
