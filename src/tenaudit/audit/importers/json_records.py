"""The records inside `{"Records": [...]}`, one at a time: memory holds the text and one record, not all of them.

Rules of this file: pure; a text that is not whole is refused before its first record is used.
"""

from __future__ import annotations

import json
import re
from array import array
from typing import TYPE_CHECKING, Any

from tenaudit.audit.importers.importer import BrokenFile

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["records_under"]

_SPACE = re.compile(r"[ \t\n\r]*")
# Python refuses to read longer integers, and such a record must not take its file along.
_LONGEST_INTEGER = 4000


def _integer(digits: str) -> int | float:
    # Infinity is not JSON, so the record is refused by name when it is looked at.
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float("inf")


_decoder = json.JSONDecoder(parse_int=_integer)


def records_under(text: str, member: str) -> Iterator[Any]:
    """Yield the items of the arrays that the top-level object holds as *member*.

    >>> list(records_under('{"Records": [{"a": 1}, 2], "more": null}', "Records"))
    [{'a': 1}, 2]

    Raises:
        BrokenFile: `invalid_json`, `json_too_deep`, or `no_records` when there is no such array.
    """
    starts = _starts(text, member)
    return (_value(text, start)[0] for start in starts)


def _starts(text: str, member: str) -> array[int]:
    """Return where each record starts, having read the whole text once."""
    found: array[int] = array("Q")
    present = False
    place = _opening(text)
    if text[place : place + 1] == "}":
        place += 1
    else:
        while True:
            key, place = _value(text, place)
            if type(key) is not str:
                raise _broken(text, place, "a member's name is text")
            place = _after(text, place, ":")
            if key == member and text[place : place + 1] == "[":
                present = True
                place = _array(text, place + 1, found)
            else:
                _, place = _value(text, place)
            place = _skip(text, place)
            if text[place : place + 1] == "}":
                place += 1
                break
            place = _after(text, place, ",")
    if _skip(text, place) != len(text):
        raise _broken(text, place, "there is more after the object")
    if not present:
        raise BrokenFile("no_records", f"the object has no array named {member}")
    return found


def _opening(text: str) -> int:
    place = _skip(text, 0)
    if text[place : place + 1] != "{":
        # Tell JSON of another shape from what is no JSON at all.
        _, end = _value(text, place)
        if _skip(text, end) == len(text):
            raise BrokenFile("no_records", "the file holds no object")
        raise _broken(text, end, "there is more after the first value")
    return _skip(text, place + 1)


def _array(text: str, place: int, found: array[int]) -> int:
    place = _skip(text, place)
    if text[place : place + 1] == "]":
        return place + 1
    while True:
        found.append(place)
        _, place = _value(text, place)
        place = _skip(text, place)
        if text[place : place + 1] == "]":
            return place + 1
        place = _after(text, place, ",")


def _value(text: str, place: int) -> tuple[Any, int]:
    try:
        return _decoder.raw_decode(text, place)
    except json.JSONDecodeError as error:
        raise BrokenFile("invalid_json", f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise BrokenFile("json_too_deep", f"the value at character {place} is nested too deep to read") from None


def _after(text: str, place: int, mark: str) -> int:
    place = _skip(text, place)
    if text[place : place + 1] != mark:
        raise _broken(text, place, f"'{mark}' is missing")
    return _skip(text, place + 1)


def _skip(text: str, place: int) -> int:
    space = _SPACE.match(text, place)
    return place if space is None else space.end()


def _broken(text: str, place: int, why: str) -> BrokenFile:
    end = " (its end)" if place >= len(text) else ""
    return BrokenFile("invalid_json", f"{why} at character {place}{end}")
