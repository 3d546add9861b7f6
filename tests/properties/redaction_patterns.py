"""Redaction paths as lists of steps, and a matcher that tries each of them: slow, and plainly right."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import strategies as st

__all__ = ["KEYS", "matches", "patterns", "written"]

KEYS = ["a", "b", "c"]

_steps = st.sampled_from(
    [("key", "a"), ("key", "b"), ("key", "*"), ("item", 0), ("item", 1), ("item", "*"), ("deep", None)]
)


def _sensible(path: list[Any]) -> bool:
    pairs = itertools.pairwise(path)
    return path[-1][0] != "deep" and not any(a[0] == b[0] == "deep" for a, b in pairs)


patterns = st.lists(_steps, min_size=1, max_size=5).filter(_sensible)


def written(pattern: list[Any]) -> str:
    """Return the path that a pattern is."""
    text = ""
    for kind, what in pattern:
        text += f"[{what}]" if kind == "item" else ("." if text else "") + ("**" if kind == "deep" else what)
    return text


def matches(pattern: list[Any], place: tuple[Any, ...]) -> bool:
    """Tell whether a pattern ends at a place."""
    if not pattern:
        return not place
    (kind, what), rest = pattern[0], pattern[1:]
    if kind == "deep":
        return any(matches(rest, place[cut:]) for cut in range(len(place) + 1))
    if not place or (kind == "key") != isinstance(place[0], str):
        return False
    return what in ("*", place[0]) and matches(rest, place[1:])
