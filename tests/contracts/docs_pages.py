"""The blocks and tables of the documentation pages, read for the tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["DOCS", "ROOT", "Block", "blocks", "pages", "row_names", "rows"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- ([\w.: -]+) -->\n\Z")
_CODE = re.compile(r"`([^`]+)`")


class Block(NamedTuple):
    """A fenced block: its language, the comment on the line before it, its text and the line it begins on."""

    language: str
    mark: str
    text: str
    line: int


def pages() -> list[Path]:
    """Return every page that holds documentation."""
    built = DOCS / "_build"
    return [ROOT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if built not in page.parents)]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        mark = _MARK.search(text, 0, fence.start())
        line = text.count("\n", 0, fence.start()) + 2
        found.append(Block(fence[1], mark[1] if mark else "", fence[2], line))
    return found


def rows(page: str) -> list[list[str]]:
    """Return the cells of every table row of a page below `docs/reference`, heads left out."""
    lines = (DOCS / "reference" / page).read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    rules = [place for place, row in enumerate(cells) if set("".join(row)) == {"-"}]
    heads = {place - 1 for place in rules}
    return [row for place, row in enumerate(cells) if place not in heads and place not in rules]


def row_names(page: str) -> list[str]:
    """Return what stands in code in the first cell of each row."""
    return [name for row in rows(page) for name in _CODE.findall(row[0])]
