"""What very many grants cost, at a terminal and as a picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from rich.table import Table

from bench.grantresults import Figure

_BINS = 60


def figure_table(figures: Sequence[Figure]) -> Table:
    """Return one row per figure; the target is the 99th percentile's."""
    table = Table(pad_edge=False)
    table.add_column("", no_wrap=True)
    for column in ("p50", "p99", "target", ""):
        table.add_column(column, justify="right")
    for one in figures:
        colour = {True: "green", False: "bold red", None: "default"}[one.is_met]
        table.add_row(
            one.name,
            f"{one.p50:,.2f}",
            f"[{colour}]{one.p99:,.2f}[/{colour}]",
            "" if one.target is None else f"≤ {one.target:g}",
            one.unit,
        )
    return table


def write_figure_plot(figures: Sequence[Figure], file: Path, title: str) -> None:
    """Draw how often which time was taken, with median, p99 and target; one panel per figure."""
    drawn = [one for one in figures if len(one.values) > 1]
    picture, axes = plt.subplots(1, len(drawn), figsize=(13, 3.8), squeeze=False)
    for panel, one in zip(axes[0], drawn, strict=True):
        highest = max(one.p99, one.target or 0) * 1.2
        panel.hist(one.values, bins=_BINS, range=(0, highest), log=True, color="tab:blue")
        panel.axvline(one.p50, color="black", label="median")
        panel.axvline(one.p99, color="tab:orange", label="p99")
        if one.target is not None:
            panel.axvline(one.target, color="tab:green", linestyle="--", label="target for p99")
        panel.set_title(f"{one.name}, {len(one.values):,} times", fontsize=10)
        panel.set_xlabel(one.unit)
        panel.legend(frameon=False)
    picture.suptitle(title)
    picture.tight_layout()
    picture.savefig(file, dpi=120)
    plt.close(picture)
