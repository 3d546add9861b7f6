"""Where a name stands in a policy file: tomllib keeps no positions, so errors look their line up here.

Rules of this file: pure; the text has already parsed as TOML, and a name that is not found has line None.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["line_of"]

# Comments are matched first and dropped, so that a name in one is no mention.
_TOKEN = re.compile(
    r'#[^\n]*|"""(?P<long>.*?)"""|"(?P<basic>(?:\\.|[^"\\\n])*)"|\'(?P<literal>[^\'\n]*)\'|(?P<bare>[A-Za-z0-9_-]+)',
    re.DOTALL,
)


def line_of(text: str, path: Sequence[str], nth: int = 1) -> int | None:
    r"""Return the 1-based line of the nth mention of the last name of *path*, below the mentions of the others.

    Args:
        text: the TOML document.
        path: names from the outside in, such as `("roles", "Editor", "page_write")`.
        nth: which mention of the last name.

    Example:
        >>> line_of('[roles]\nEditor = ["a"]\nReader = [\n  "a",\n  "a"]\n', ("roles", "Reader", "a"), 2)
        5
    """
    *outer, last = path
    mentions = _mentions(text)
    for name in outer:
        if not any(mention == name for mention, _ in mentions):
            return None
    lines = (line for mention, line in mentions if mention == last)
    return next((line for count, line in enumerate(lines, 1) if count == nth), None)


def _mentions(text: str) -> Iterator[tuple[str, int]]:
    line, seen = 1, 0
    for token in _TOKEN.finditer(text):
        line += text.count("\n", seen, token.start())
        seen = token.start()
        if token.lastgroup is not None:
            yield token[token.lastgroup], line
