"""The values of a text that holds an array, objects one after another, or one object a line (NDJSON).

Rules of this file: pure, and linear in the length of the text; memory holds the text and one value.

============================================  =======================================================
the text begins with                          what it is
============================================  =======================================================
`[`                                           one array of records, refused as a whole when broken
a line that is a whole value                  lines: each is read alone, and a broken one is refused alone
anything else, such as an object over lines   values one after another, refused as a whole when broken
============================================  =======================================================

Lines are also what begins with a broken line when the next is a whole object: a log that was cut at its front.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from tenaudit.audit.importers.importer import BrokenFile, Found, Refused
from tenaudit.audit.importers.json_text import array_starts, broken, skip_space, value_at

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["documents", "is_lines", "lines"]


def documents(text: str) -> Iterator[Found]:
    r"""Yield the values of a text in order, with their lines where it consists of lines; an empty text has none.

    >>> [(found.value, found.line) for found in documents('{"a": 1}\n\n{"a": 2}\n')]
    [({'a': 1}, 1), ({'a': 2}, 3)]

    Raises:
        BrokenFile: `invalid_json` or `json_too_deep`, before the first value.
    """
    place = skip_space(text, 0)
    if text[place : place + 1] == "[":
        starts: array[int] = array("Q")
        end = array_starts(text, place + 1, starts)
        if skip_space(text, end) != len(text):
            raise broken(text, end, "there is more after the array")
        return _at(text, starts)
    return lines(text) if is_lines(text) else _at(text, _starts(text, place))


def is_lines(text: str) -> bool:
    """Tell whether the first line that is not blank, or the one after it, is a whole value."""
    start = skip_space(text, 0)
    end = _line_end(text, start)
    if _is_whole(text[start:end]):
        return True
    start = skip_space(text, end)
    return text[start : start + 1] == "{" and _is_whole(text[start : _line_end(text, start)])


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _is_whole(line: str) -> bool:
    return _of_line(line, 0).refusal is None


def _at(text: str, starts: array[int]) -> Iterator[Found]:
    return (Found(value_at(text, start)[0]) for start in starts)


def _starts(text: str, place: int) -> array[int]:
    found: array[int] = array("Q")
    while place < len(text):
        found.append(place)
        _, place = value_at(text, place)
        place = skip_space(text, place)
    return found


def lines(text: str, first: int = 1) -> Iterator[Found]:
    r"""Yield the values of a text of lines, the first of which has the number *first*.

    >>> [(found.value, found.line) for found in lines('{"a": 1}\n[2]', first=7)]
    [({'a': 1}, 7), ([2], 8)]
    """
    start, number = 0, first
    while start < len(text):
        end = _line_end(text, start)
        line = text[start:end]
        if skip_space(line, 0) < len(line):
            yield _of_line(line, number)
        start, number = end + 1, number + 1


def _of_line(line: str, number: int) -> Found:
    try:
        value, end = value_at(line, skip_space(line, 0))
        if skip_space(line, end) != len(line):
            raise broken(line, end, "there is more after the value")
    except BrokenFile as refusal:
        return Found(None, number, Refused(refusal.reason, refusal.detail))
    return Found(value, number)
