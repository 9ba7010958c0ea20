"""The threat model on the page and the tests of this folder speak of one another."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
_LINK = re.compile(r"\]\(\.\./tests/security/(?P<file>test_\w+\.py)\)")


def threats() -> dict[str, str]:
    """Return what the page says of each attacker, by its heading."""
    _, _, model = PAGE.read_text("utf-8").partition("\n## Threat model\n")
    parts = re.split(r"^### (.+)$", model, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_attacker_is_tried_by_tests() -> None:
    assert len(threats()) > 8
    assert not [name for name, text in threats().items() if "](../tests/" not in text]


def test_every_test_of_this_folder_stands_for_a_threat() -> None:
    named = {match["file"] for text in threats().values() for match in _LINK.finditer(text)}
    there = {file.name for file in Path(__file__).parent.glob("test_*.py")}
    assert named == there - {Path(__file__).name}
