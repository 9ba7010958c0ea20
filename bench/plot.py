"""The results as a picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from bench.contenders import CONTENDERS
from bench.results import Measurement

_BAR_WIDTH = 0.16


def write_plot(measurements: Sequence[Measurement], file: Path, title: str) -> None:
    """Draw the median seconds: one panel per layout and statement, one bar per contender."""
    layouts = list(dict.fromkeys(one.layout for one in measurements))
    statements = list(dict.fromkeys(one.statement for one in measurements))
    found = {(one.layout, one.statement, one.contender): one for one in measurements}
    figure, axes = plt.subplots(
        len(layouts), len(statements), figsize=(13, 3.4 * len(layouts)), squeeze=False
    )
    for row, layout in enumerate(layouts):
        for column, statement in enumerate(statements):
            panel = axes[row][column]
            for at, contender in enumerate(CONTENDERS):
                seconds = found[layout, statement, contender].seconds
                bar = panel.bar(at * _BAR_WIDTH, seconds, _BAR_WIDTH, label=contender)
                panel.bar_label(bar, fmt="%.2f", fontsize=7)
            panel.set_title(f"{statement}, {layout}", fontsize=10)
            panel.set_xticks([])
            panel.set_ylabel("seconds" if column == 0 else "")
            panel.margins(y=0.15)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.suptitle(title)
    figure.legend(handles, labels, loc="lower center", ncols=len(CONTENDERS), frameon=False)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(file, dpi=120)
    plt.close(figure)
