"""The pages hold together: links lead somewhere, decisions are listed, settings are named."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, all_pages, without_blocks

_LINK = re.compile(r"\[[^\]]+\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<text>.*)$", re.MULTILINE)
_ADR = ROOT / "docs" / "adr"


def anchors(page: Path) -> set[str]:
    headings = (match["text"] for match in _HEADING.finditer(without_blocks(page)))
    return {re.sub(r"[^\w\- ]", "", text).strip().lower().replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page: Path) -> None:
    for match in _LINK.finditer(without_blocks(page)):
        target, _, anchor = match["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        linked = (page.parent / target).resolve() if target else page
        assert linked.exists(), match["target"]
        if anchor:
            assert anchor in anchors(linked), match["target"]


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (page.parent / match["target"].partition("#")[0]).resolve()
        for page in all_pages()
        for match in _LINK.finditer(without_blocks(page))
        if "://" not in match["target"]
    }
    assert not [page for page in all_pages() if page not in linked and page.name != "README.md"]


def test_every_decision_has_its_three_parts() -> None:
    decisions = sorted(_ADR.glob("0*.md"))
    assert [int(page.name[:4]) for page in decisions] == list(range(1, len(decisions) + 1))
    for page in decisions:
        headings = [match["text"] for match in _HEADING.finditer(page.read_text("utf-8"))]
        assert headings[1:] == ["Context", "Decision", "Consequences"], page.name
