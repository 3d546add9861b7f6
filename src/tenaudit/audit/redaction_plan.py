"""Paths without wild cards for keys, as functions that know beforehand where to look and what to do there.

Rules of this file: pure; a plan does what `_Walk` in `tenaudit.audit.redaction` does, at a third of the cost, and hands
what it cannot plan to *otherwise*. It is made once, as large as its paths are, whatever is in the events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import is_not
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from tenaudit.audit.redaction_paths import key_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.audit.redaction_paths import PathState

__all__ = ["GONE", "Replacements", "Replacing", "Tags", "Walk", "is_container", "plan_of"]

GONE: Final = object()
_ABSENT: Final = object()
# Of one object: one with few fields is not to cost as much as a policy with many.
_MOST_NAMES = 32

# What was touched, and the mark that it was touched by.
Tags: TypeAlias = dict[str, int]
# Returns what becomes of a value; the very value when nothing below was touched.
Walk: TypeAlias = Callable[[Any, Tags], Any]
Replacements: TypeAlias = "Sequence[Callable[[Any], Any]]"
_Otherwise: TypeAlias = "Callable[[PathState, str, int, Replacements], Walk]"


class Replacing(NamedTuple):
    """What becomes of a value at which a path ends, by the path's mark.

    Attributes:
        of_key: of the value of a key, `GONE` if the key goes with it.
        of_item: of an item of an array.
        names: of the actions.
        strongest: the highest mark in use.
    """

    of_key: Replacements
    of_item: Replacements
    names: Sequence[str]
    strongest: int


def is_container(value: Any) -> bool:
    """Tell whether paths may lead on through a value."""
    return type(value) is dict or (
        not isinstance(value, (str, int, float)) and isinstance(value, (dict, list, tuple, Mapping))
    )


def plan_of(
    state: PathState, place: str, room: int, replace: Replacements, replacing: Replacing, otherwise: _Otherwise
) -> tuple[Walk, Walk]:
    """Return the walk through an object at a place where no path ends, and that through an array.

    Args:
        state: where the paths stand there.
        place: its name.
        room: levels that may follow.
        replace: what becomes of the object or array where none may.
        replacing: what becomes of values.
        otherwise: makes the walk of what cannot be planned.
    """
    names = state.only_names
    if room == 0 or names is None or len(names) > _MOST_NAMES:
        walk = otherwise(state, place, room, replace)
        return walk, walk
    return (
        _objects(state, place, room, names, replacing, otherwise),
        _arrays(state, place, room, replacing, otherwise),
    )


def _objects(
    state: PathState, place: str, room: int, names: Sequence[str], replacing: Replacing, otherwise: _Otherwise
) -> Walk:
    steps = [(name, state.after_key(name), key_place(place, name)) for name in names]
    ends = [
        (name, replacing.of_key[below.hit], f"{there}:{replacing.names[below.hit]}", below.hit)
        for name, below, there in steps
        if below.hit
    ]
    ways = [
        (name, *plan_of(below, there, room - 1, replacing.of_key, replacing, otherwise))
        for name, below, there in steps
        if below.live and not below.hit
    ]

    def walk(value: Mapping[Any, Any], tags: Tags) -> Any:
        copy: dict[Any, Any] | None = None
        for name, replace, tag, mark in ends:
            item = value.get(name, _ABSENT)
            if item is _ABSENT or (new := replace(item)) is item:
                continue
            tags[tag] = mark
            copy = dict(value) if copy is None else copy
            if new is GONE:
                del copy[name]
            else:
                copy[name] = new
        for name, objects, arrays in ways:
            item = value.get(name)
            if type(item) is dict:
                new = objects(item, tags)
            elif is_container(item):
                new = (objects if isinstance(item, Mapping) else arrays)(item, tags)
            else:
                continue
            if new is not item:
                copy = dict(value) if copy is None else copy
                if new is GONE:
                    del copy[name]
                else:
                    copy[name] = new
        return value if copy is None else copy

    return walk


def _arrays(state: PathState, place: str, room: int, replacing: Replacing, otherwise: _Otherwise) -> Walk:
    if state.names_items:
        return otherwise(state, place, room, replacing.of_item)
    below, there = state.after_item(0), state.item_place(place, 0)
    if below.hit:
        return _ended(replacing.of_item[below.hit], f"{there}:{replacing.names[below.hit]}", below.hit)
    if not below.live:
        return lambda value, _tags: value
    objects, arrays = plan_of(below, there, room - 1, replacing.of_item, replacing, otherwise)

    def walk(value: Sequence[Any], tags: Tags) -> Any:
        copy = [
            item
            if not is_container(item)
            else (objects if type(item) is dict or isinstance(item, Mapping) else arrays)(item, tags)
            for item in value
        ]
        return copy if any(map(is_not, copy, value)) else value

    return walk


def _ended(replace: Callable[[Any], Any], tag: str, mark: int) -> Walk:
    def walk(value: Sequence[Any], tags: Tags) -> Any:
        copy = [replace(item) for item in value]
        if not any(map(is_not, copy, value)):
            return value
        tags[tag] = mark
        return copy

    return walk
