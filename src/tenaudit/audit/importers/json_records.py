"""The records inside `{"Records": [...]}`, one at a time: memory holds the text and one record, not all of them.

Rules of this file: pure; a text that is not whole is refused before its first record is used.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from tenaudit.audit.importers.importer import BrokenFile
from tenaudit.audit.importers.json_text import after, array_starts, broken, skip_space, value_at

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["records_under"]


def records_under(text: str, member: str) -> Iterator[Any]:
    """Yield the items of the arrays that the top-level object holds as *member*.

    >>> list(records_under('{"Records": [{"a": 1}, 2], "more": null}', "Records"))
    [{'a': 1}, 2]

    Raises:
        BrokenFile: `invalid_json`, `json_too_deep`, or `no_records` when there is no such array.
    """
    starts = _starts(text, member)
    return (value_at(text, start)[0] for start in starts)


def _starts(text: str, member: str) -> array[int]:
    """Return where each record starts, having read the whole text once."""
    found: array[int] = array("Q")
    present = False
    place = _opening(text)
    if text[place : place + 1] == "}":
        place += 1
    else:
        while True:
            key, place = value_at(text, place)
            if type(key) is not str:
                raise broken(text, place, "a member's name is text")
            place = after(text, place, ":")
            if key == member and text[place : place + 1] == "[":
                present = True
                place = array_starts(text, place + 1, found)
            else:
                _, place = value_at(text, place)
            place = skip_space(text, place)
            if text[place : place + 1] == "}":
                place += 1
                break
            place = after(text, place, ",")
    if skip_space(text, place) != len(text):
        raise broken(text, place, "there is more after the object")
    if not present:
        raise BrokenFile("no_records", f"the object has no array named {member}")
    return found


def _opening(text: str) -> int:
    place = skip_space(text, 0)
    if text[place : place + 1] != "{":
        # Tell JSON of another shape from what is no JSON at all.
        _, end = value_at(text, place)
        if skip_space(text, end) == len(text):
            raise BrokenFile("no_records", "the file holds no object")
        raise broken(text, end, "there is more after the first value")
    return skip_space(text, place + 1)
