"""What a server under load does, at a terminal and as a picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from rich.table import Table

from bench.loadresults import PHASES, Loaded, Sizes, marks

_BINS = 40


def load_table(loaded: Sequence[Loaded], sizes: Sizes) -> Table:
    """Return one row per number; the target is the value's."""
    table = Table(pad_edge=False)
    table.add_column("server")
    table.add_column("", no_wrap=True)
    for column in ("value", "p99", "target", ""):
        table.add_column(column, justify="right")
    for one in loaded:
        for mark in marks(one, sizes):
            colour = {True: "green", False: "bold red", None: "default"}[mark.is_met]
            table.add_row(
                mark.target,
                mark.name,
                f"[{colour}]{mark.value:,.1f}[/{colour}]",
                "" if mark.p99 is None else f"{mark.p99:,.1f}",
                "" if mark.most is None else f"≤ {mark.most:g}",
                mark.unit,
            )
    return table


def write_load_plot(loaded: Sequence[Loaded], file: Path, title: str) -> None:
    """Draw for each server how long a small statement takes, phase by phase, and refusals."""
    picture, axes = plt.subplots(len(loaded), 2, figsize=(12, 3.8 * len(loaded)), squeeze=False)
    for one, (asked, refused) in zip(loaded, axes, strict=True):
        _draw_phases(asked, one)
        _draw_refusals(refused, one)
    picture.suptitle(title)
    picture.tight_layout()
    picture.savefig(file, dpi=120)
    plt.close(picture)


def _draw_phases(panel: Axes, one: Loaded) -> None:
    """Draw what part of the small statements was answered within how long."""
    for name in PHASES:
        values = sorted(one.small[name].milliseconds)
        parts = [(place + 1) / len(values) for place in range(len(values))]
        panel.step(values, parts, where="post", label=name)
    panel.set_xscale("log")
    panel.set_ylim(0, 1)
    panel.set_xlabel("ms")
    panel.set_ylabel("part of the statements")
    panel.set_title(f"a small statement at {one.target}", fontsize=10)
    panel.legend(frameon=False)


def _draw_refusals(panel: Axes, one: Loaded) -> None:
    panel.hist(one.knocks.refused, bins=_BINS, color="tab:red", alpha=0.7)
    panel.axvline(50, color="tab:green", linestyle="--", label="target for the median")
    panel.set_xlabel("ms")
    panel.set_title(f"refusals by {one.target}, during the burst", fontsize=10)
    panel.legend(frameon=False)
