"""JSON values at places of a text, so that memory holds the text and one value, not all of them.

Rules of this file: pure; every fault is a `BrokenFile` that names the character.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tenaudit.audit.importers.importer import BrokenFile

if TYPE_CHECKING:
    from array import array

__all__ = ["after", "array_starts", "broken", "skip_space", "value_at"]

_SPACE = re.compile(r"[ \t\n\r]*")
# Python refuses to read longer integers, and such a record must not take its file along.
_LONGEST_INTEGER = 4000


def _integer(digits: str) -> int | float:
    # Infinity is not JSON, so the record is refused by name when it is looked at.
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float("inf")


_decoder = json.JSONDecoder(parse_int=_integer)


def value_at(text: str, place: int) -> tuple[Any, int]:
    """Return the value that starts at *place*, and where it ends.

    Raises:
        BrokenFile: `invalid_json` or `json_too_deep`.
    """
    try:
        return _decoder.raw_decode(text, place)
    except json.JSONDecodeError as error:
        raise BrokenFile("invalid_json", f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise BrokenFile("json_too_deep", f"the value at character {place} is nested too deep to read") from None


def array_starts(text: str, place: int, found: array[int]) -> int:
    """Add where each item of an array starts to *found*; *place* is behind its bracket, the answer behind its end.

    Raises:
        BrokenFile: `invalid_json` or `json_too_deep`.
    """
    place = skip_space(text, place)
    if text[place : place + 1] == "]":
        return place + 1
    while True:
        found.append(place)
        _, place = value_at(text, place)
        place = skip_space(text, place)
        if text[place : place + 1] == "]":
            return place + 1
        place = after(text, place, ",")


def after(text: str, place: int, mark: str) -> int:
    """Return the place of what follows *mark*, which stands at *place*.

    Raises:
        BrokenFile: `invalid_json`, it does not stand there.
    """
    place = skip_space(text, place)
    if text[place : place + 1] != mark:
        raise broken(text, place, f"'{mark}' is missing")
    return skip_space(text, place + 1)


def skip_space(text: str, place: int) -> int:
    """Return the first place from *place* on that is no white space of JSON."""
    space = _SPACE.match(text, place)
    return place if space is None else space.end()


def broken(text: str, place: int, why: str) -> BrokenFile:
    """Return the refusal of a text that is wrong at *place*."""
    end = " (its end)" if place >= len(text) else ""
    return BrokenFile("invalid_json", f"{why} at character {place}{end}")
