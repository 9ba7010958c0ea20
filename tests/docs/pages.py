"""The pages of the documentation, and what stands in them."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def all_pages() -> list[Path]:
    """Return every page that people read, in a fixed order."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, kind: str) -> list[str]:
    """Return the fenced blocks of one kind, in their order."""
    found = _FENCE.finditer(page.read_text("utf-8"))
    return [block["text"] for block in found if block["kind"] == kind]


def programs(page: Path, kind: str) -> Iterator[tuple[str, str | None]]:
    """Yield the blocks of a kind, each with the block `text` that follows at once, if one does."""
    text = page.read_text("utf-8")
    for block in _FENCE.finditer(text):
        if block["kind"] == kind:
            after = _FENCE.match(text, block.end() + 2)
            follows = after is not None and after["kind"] == "text"
            yield block["text"], after["text"] if after is not None and follows else None


def without_blocks(page: Path) -> str:
    """Return a page's text with its fenced blocks left out."""
    return _FENCE.sub("", page.read_text("utf-8"))


def table_rows(page: Path) -> Iterator[list[str]]:
    """Yield the cells of every row of every table, heads and rulers included."""
    for line in without_blocks(page).splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]
