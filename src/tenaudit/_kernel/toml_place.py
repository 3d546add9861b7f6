"""Where a name stands in a TOML file: tomllib keeps no positions, so errors look their line up here.

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
_HEADER = re.compile(r"[ \t]*\[")
_KEY_ENDS = re.compile(r"[ \t]*[=.]")


def line_of(text: str, path: Sequence[str], nth: int = 1, *, as_key: bool) -> int | None:
    r"""Return the 1-based line of the nth mention of the last name of *path*, below the mentions of the others.

    Args:
        text: the TOML document.
        path: names from the outside in, such as `("roles", "Editor", "page_write")`.
        nth: which mention of the last name.
        as_key: whether it stands as a key or as a value; the others are keys.

    Example:
        >>> text = '[roles]\nEditor = ["a"]\nReader = [\n  "a",\n  "a"]\n'
        >>> line_of(text, ("roles", "Reader", "a"), 2, as_key=False)
        5
    """
    *outer, last = path
    mentions = _mentions(text)
    for name in outer:
        if not any(mention == name and key for mention, _, key in mentions):
            return None
    lines = (line for mention, line, key in mentions if mention == last and key is as_key)
    return next((line for count, line in enumerate(lines, 1) if count == nth), None)


def _mentions(text: str) -> Iterator[tuple[str, int, bool]]:
    """Yield each name with its line and whether it is a key."""
    line, seen, begins = 1, 0, 0
    for token in _TOKEN.finditer(text):
        breaks = text.count("\n", seen, token.start())
        if breaks:
            line, begins = line + breaks, text.rindex("\n", seen, token.start()) + 1
        seen = token.start()
        if token.lastgroup is not None:
            header = _HEADER.match(text, begins, seen) is not None
            yield token[token.lastgroup], line, header or _KEY_ENDS.match(text, token.end()) is not None
