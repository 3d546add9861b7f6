"""Values at JSON pointers (RFC 6901), and records without them; pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["value_at", "without"]

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def value_at(record: Mapping[str, Any], place: str) -> Any:
    """Return the value at a JSON pointer.

    Raises:
        ValueError: there is none.

    Example:
        >>> value_at({"payload": {"a/b": [1, 2]}}, "/payload/a~1b/1")
        2
    """
    value: Any = record
    for token in _tokens(place):
        value = _below(value, token, place)
    return value


def without(record: Mapping[str, Any], places: Iterable[str], *, is_there: bool = True) -> dict[str, Any]:
    """Return a copy with null at some places; what no place leads through is shared with the original.

    Args:
        record: the original.
        places: JSON pointers.
        is_there: whether there is a value at each; else the last key of one may be missing, and is put in.

    Raises:
        ValueError: a place is not there.
    """
    copy = dict(record)
    copied: set[int] = {id(copy)}
    for place in places:
        *way, last = _tokens(place)
        node: Any = copy
        for token in way:
            below = _below(node, token, place)
            if id(below) not in copied:
                if not isinstance(below, dict | list | tuple):
                    raise ValueError(f"there is nothing at {place}")
                below = dict(below) if isinstance(below, dict) else [*below]
                node[_key(node, token)] = below
                copied.add(id(below))
            node = below
        if is_there or not isinstance(node, dict):
            _below(node, last, place)
        node[_key(node, last)] = None
    return copy


def _tokens(place: str) -> list[str]:
    if not place.startswith("/"):
        raise ValueError(f"{place!r} is no JSON pointer to a field")
    return [token.replace("~1", "/").replace("~0", "~") for token in place[1:].split("/")]


def _below(node: Any, token: str, place: str) -> Any:
    try:
        return node[_key(node, token)]
    except (TypeError, LookupError, ValueError):
        raise ValueError(f"there is nothing at {place}") from None


def _key(node: Any, token: str) -> str | int:
    if isinstance(node, dict):
        return token
    # One spelling of each index (RFC 6901, section 4): else one value could be committed to twice. And of a list: a
    # text has places too, and could stand for one.
    if not isinstance(node, list | tuple) or not _INDEX.fullmatch(token):
        raise ValueError("no index")
    return int(token)
