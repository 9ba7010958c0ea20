"""How long recovering took: `python -m tests.faults.report RUN.json…` keeps what runs measured.

The page on reliability shows what is kept (`python -m tests.docs.generate`).
"""

import json
import statistics
import sys
from pathlib import Path

KEPT = Path(__file__).with_name("recoveries.json")


def summarise(files: list[Path]) -> dict[str, object]:
    """Return how often each fault of each victim was mended, and how long the whole took to work.

    Args:
        files: What `python -m tests.faults --results` wrote.
    """
    seconds: dict[tuple[str, str], list[float]] = {}
    schedules = 0
    for file in files:
        run = json.loads(file.read_text("utf-8"))
        schedules += run["schedules"]
        for row in run["recoveries"]:
            of = (
                f"{row['victim']}, two controllers" if row["phase"] == "takeover" else row["victim"]
            )
            seconds.setdefault((row["fault"], of), []).append(row["seconds"])
    rows = [
        {
            "fault": fault,
            "victim": victim,
            "count": len(times),
            "median_s": round(statistics.median(times), 1),
            "worst_s": round(max(times), 1),
        }
        for (fault, victim), times in sorted(seconds.items())
    ]
    return {"schedules": schedules, "rows": rows}


def table() -> list[str]:
    """Return what is kept as the lines of a table in Markdown."""
    kept = json.loads(KEPT.read_text("utf-8"))
    lines = ["| fault | of | times | median | worst |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['fault']} | {row['victim']} | {row['count']} "
        f"| {row['median_s']:.1f} s | {row['worst_s']:.1f} s |"
        for row in kept["rows"]
    ]
    return [*lines, "", f"From {kept['schedules']} schedules; those of one fault are counted here."]


if __name__ == "__main__":
    KEPT.write_text(json.dumps(summarise([*map(Path, sys.argv[1:])]), indent=1) + "\n", "utf-8")
