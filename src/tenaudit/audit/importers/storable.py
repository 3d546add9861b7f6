"""A foreign record as a payload that can be stored: few values change, and each change is tagged.

Rules of this file: pure; it never raises anything but `Refused`, whatever JSON holds.

===========================================  =======================================================
what the record holds                        what becomes of it
===========================================  =======================================================
number beyond ±(2^53 - 1)                    its digits as text, tag `<place>:stringified`
U+0000 or a lone surrogate, in text or key   U+FFFD in its place, tag `<place>:replaced`
two keys that become one that way            refused: `invalid_text`
NaN, infinity, a value that is not JSON      refused: `payload_not_json`
objects and arrays over 32 levels            refused: `payload_too_deep`
over 64 KiB of JSON                          refused: `event_too_large`
===========================================  =======================================================
"""

from __future__ import annotations

import re
from math import inf
from typing import TYPE_CHECKING, Any

from tenaudit.audit.importers.importer import Refused
from tenaudit.audit.payload import MAX_DEPTH, MAX_SAFE_INTEGER, PayloadRefused, snapshot
from tenaudit.audit.redaction import MAX_TAGS
from tenaudit.audit.redaction_paths import key_place

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["storable"]

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(record: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a copy of a record that every store takes, and the sorted tags of what had to change.

    >>> storable({"size": 2**60, "name": "a"})
    ({'size': '1152921504606846976', 'name': 'a'}, ('payload.size:stringified',))

    Raises:
        Refused: see the table above.
    """
    walk = _Walk()
    copied = walk.object(record, "payload", 1)
    try:
        payload, _ = snapshot(copied)
    except PayloadRefused as error:
        raise Refused(error.reason, str(error)) from None
    return payload, walk.tags()


class _Walk:
    """One pass over one record."""

    __slots__ = ("_more", "_tags")

    def __init__(self) -> None:
        self._tags: set[str] = set()
        self._more: set[str] = set()

    def tags(self) -> tuple[str, ...]:
        return tuple(sorted(self._tags | {f"+more:{change}" for change in self._more}))

    def object(self, value: Mapping[Any, Any], place: str, depth: int) -> dict[str, Any]:
        _check_depth(depth)
        copied: dict[str, Any] = {}
        for key, item in value.items():
            if type(key) is not str:
                raise Refused("payload_not_json", f"a key of {place} is not text")
            name = self._text(key, place)
            if name in copied:
                raise Refused("invalid_text", f"two keys of {place} differ only in unstorable characters")
            copied[name] = self._value(item, place, name, depth)
        return copied

    def _value(self, value: Any, parent: str, key: str | int, depth: int) -> Any:
        if _is_storable(value):
            return value
        kind = type(value)
        place = key_place(parent, key) if isinstance(key, str) else f"{parent}[{key}]"
        if kind is str:
            return self._text(value, place)
        if kind is dict:
            return self.object(value, place, depth + 1)
        if kind is list:
            _check_depth(depth + 1)
            return [self._value(item, place, index, depth + 1) for index, item in enumerate(value)]
        if kind is int or kind is float:
            return self._digits(value, place)
        raise Refused("payload_not_json", f"{kind.__name__} at {place} is not a JSON type")

    def _text(self, text: str, place: str) -> str:
        stored, changes = _UNSTORABLE.subn("\ufffd", text)
        if changes:
            self._tag(place, "replaced")
        return stored

    def _digits(self, value: float, place: str) -> str:
        try:
            digits = str(value)
        except ValueError:  # past sys.get_int_max_str_digits()
            raise Refused("integer_out_of_range", f"the number at {place} has too many digits") from None
        self._tag(place, "stringified")
        return digits

    def _tag(self, place: str, change: str) -> None:
        tag = f"{place}:{change}"
        if len(self._tags) < MAX_TAGS:
            self._tags.add(tag)
        elif tag not in self._tags:
            self._more.add(change)


def _is_storable(value: Any) -> bool:
    """Tell whether a value that holds no others stays as it is; NaN and infinity are refused elsewhere."""
    if isinstance(value, str):
        return type(value) is str and value.isascii() and "\x00" not in value
    if value is None or type(value) is bool:
        return True
    return type(value) in {int, float} and not MAX_SAFE_INTEGER < abs(value) < inf


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Refused("payload_too_deep", f"the record is nested over {MAX_DEPTH} levels")
