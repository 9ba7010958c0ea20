"""Changes of a text, made all at once: what is not replaced stays as it was typed."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """A piece of a text to be replaced: from `start` up to, not including, `end`."""

    start: int
    end: int
    replacement: str


def splice(text: str, edits: Iterable[Edit], *, start: int = 0, end: int | None = None) -> str:
    """Return a part of a text with its pieces replaced; edits do not overlap."""
    pieces: list[str] = []
    position = start
    for edit in sorted(set(edits)):
        pieces += (text[position : edit.start], edit.replacement)
        position = edit.end
    pieces.append(text[position:end])
    return "".join(pieces)
