"""What the forms of rows cost, at a terminal and as a picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from rich.table import Table

from bench.forms import SAFE, FormMeasurement

_MIB = 1 << 20


def form_table(found: Sequence[FormMeasurement]) -> Table:
    """Return one row per statement, route and form; `ratio` is to the safe form's time."""
    safe = {(one.statement, one.route): one.seconds for one in found if one.form == SAFE}
    table = Table(pad_edge=False)
    for column in ("statement", "route", "form"):
        table.add_column(column, no_wrap=True)
    for column in ("seconds", "ratio", "MiB"):
        table.add_column(column, justify="right")
    for one in found:
        table.add_row(
            *(one.statement, one.route, one.form, f"{one.seconds:.2f}"),
            f"{one.seconds / safe[one.statement, one.route]:.2f}",
            f"{one.byte_count / _MIB:,.0f}",
        )
    return table


def write_form_plot(found: Sequence[FormMeasurement], file: Path, title: str) -> None:
    """Draw seconds over MiB on the wire: one panel per statement, one point per form and route."""
    statements = list(dict.fromkeys(one.statement for one in found))
    picture, axes = plt.subplots(1, len(statements), figsize=(13, 4.2), squeeze=False)
    for panel, statement in zip(axes[0], statements, strict=True):
        for one in (one for one in found if one.statement == statement):
            marker = "o" if one.route == "member" else "s"
            colour = "tab:blue" if one.route == "member" else "tab:orange"
            panel.plot(one.byte_count / _MIB, one.seconds, marker, color=colour)
            panel.annotate(
                one.form, (one.byte_count / _MIB, one.seconds), fontsize=7, xytext=(4, 3),
                textcoords="offset points",
            )  # fmt: skip
        panel.set_title(statement, fontsize=10)
        panel.set_xlabel("MiB on the wire")
        panel.set_ylabel("seconds")
        panel.margins(0.2)
        panel.set_ylim(bottom=0)
        panel.set_xlim(left=0)
    picture.suptitle(f"{title} (circles: member, squares: relay)")
    picture.tight_layout()
    picture.savefig(file, dpi=120)
    plt.close(picture)
