"""What statements at the limits took, at a terminal and as a picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from rich.table import Table

from bench.limits import TARGET_S, TOO_LARGE, Edge
from bench.limitstatements import LIMIT_TABLES

_LISTED = 25


def edge_table(edges: Sequence[Edge]) -> Table:
    """Return the slowest, one per row, the slowest first."""
    table = Table(title=f"seconds, target ≤ {TARGET_S:g}", title_justify="left", pad_edge=False)
    for column in ("statement", "table", "answer"):
        table.add_column(column, no_wrap=True)
    for column in ("size", "seconds"):
        table.add_column(column, justify="right")
    for edge in sorted(edges, key=lambda edge: -edge.seconds)[:_LISTED]:
        colour = "green" if edge.is_met else "bold red"
        answer = edge.code or edge.outcome
        seconds = f"[{colour}]{edge.seconds:.2f}[/{colour}]"
        table.add_row(edge.kind, edge.table, answer, str(edge.size), seconds)
    return table


def write_edge_plot(edges: Sequence[Edge], file: Path, title: str) -> None:
    """Draw each kind as a line, with a dot for each table: filled where it is not too large."""
    kinds = list(dict.fromkeys(edge.kind for edge in edges))
    figure, panel = plt.subplots(figsize=(9, 1.5 + 0.2 * len(kinds)))
    for at, name in enumerate(table.name for table in LIMIT_TABLES):
        for is_refused in (False, True):
            alike = [
                edge
                for edge in edges
                if edge.table == name and (edge.code == TOO_LARGE) == is_refused
            ]
            panel.plot(
                [max(edge.seconds, 0.001) for edge in alike],
                [kinds.index(edge.kind) for edge in alike],
                "o",
                color=f"C{at}",
                markersize=4,
                fillstyle="none" if is_refused else "full",
                label=f"{name}, {'too large' if is_refused else 'largest that is read'}",
            )
    panel.axvline(TARGET_S, color="tab:green")
    panel.set_xscale("log")
    panel.set_xlabel("seconds of processor time")
    panel.set_yticks(range(len(kinds)), kinds, fontsize=7)
    panel.invert_yaxis()
    panel.grid(alpha=0.3)
    panel.set_title(title)
    panel.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)
