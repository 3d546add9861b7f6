"""Redaction: paths name fields of an event, and one walk masks, removes or hashes them all.

What the actions leave in place:

| action | string | other scalar, object, array | null |
| --- | --- | --- | --- |
| `mask` | `****` and the last 4 characters if it has more than 8, else `****` | `****` | null |
| `hash` | `hmac-sha256:` and 32 hex digits, keyed; equal values stay equal | the same, of its canonical JSON | null |
| `remove` | key gone; an array item becomes null, so its neighbours keep their index | likewise | key gone |

Masks and hashes stay as they are when the same action meets them again. `hash` masks what has no canonical
JSON. Where several paths end at one place, `remove` wins over `hash`, and that over `mask`. The grammar of
paths is told in `tenaudit.audit.redaction_paths`.

Rules of this file: pure. The event comes in, a new one goes out: the input is never changed, untouched
subtrees are shared. When in doubt it hides: an object or array that lies deeper than `MAX_WALK_DEPTH` where a
path may still end below is redacted as a whole.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, get_args

from tenaudit.audit.integrity.canonical import CanonicalError, canonical_json
from tenaudit.audit.redaction_paths import (
    CompiledPaths,
    InvalidRedactionPath,
    PathState,
    compile_paths,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "HASH_PREFIX",
    "MASK",
    "MAX_TAGS",
    "MAX_WALK_DEPTH",
    "CompiledPaths",
    "InvalidRedactionPath",
    "RedactionAction",
    "RedactionRule",
    "Redactor",
    "compile_paths",
    "masked",
    "redact_event_fields",
]

RedactionAction: TypeAlias = Literal["mask", "remove", "hash"]

MASK = "****"
HASH_PREFIX = "hmac-sha256:"
MAX_WALK_DEPTH = 64

MAX_TAGS = 64
"""Places told of one event; that there were more is told by one further tag, `+more:<action>`."""

# The mark of a path is the place of its action here: where several end, the one that leaves least wins.
_STRENGTH: tuple[str, ...] = ("", "mask", "hash", "remove")
_VISIBLE = 4
_WHOLLY_MASKED = 8
_HASH_BYTES = 16
_MASKED = re.compile(r"\*{4}(?:.{4})?", re.DOTALL)
_HASHED = re.compile(rf"{HASH_PREFIX}[0-9a-f]{{{2 * _HASH_BYTES}}}")
_GONE: Final = object()
_ABSENT: Final = object()


# What is left of a value, by the mark of the path that ends at it.
_Replacements: TypeAlias = "tuple[Callable[[Any], Any], ...]"


class _Replacing(NamedTuple):
    of_key: _Replacements
    of_item: _Replacements
    strongest: int


class RedactionRule(NamedTuple):
    """One path and what becomes of the fields there.

    >>> RedactionRule("payload.iban", "hash").action
    'hash'
    """

    path: str
    action: RedactionAction = "mask"


def redact_event_fields(
    event: Mapping[str, Any],
    paths: Sequence[str],
    *,
    action: RedactionAction = "mask",
    key: bytes | None = None,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a copy of the event with the fields at the paths redacted, and tags that name what was touched.

    >>> redact_event_fields({"payload": {"card": {"number": "4111111111111111"}}}, ["payload.card.number"])
    ({'payload': {'card': {'number': '****1111'}}}, ('payload.card.number:mask',))

    Args:
        event: a JSON object; never changed, and shared with the result where nothing was touched.
        paths: see `tenaudit.audit.redaction_paths`; those that match nothing do nothing.
        action: `mask`, `remove` or `hash`.
        key: secret of `hash`, not empty.

    Returns:
        The new event and sorted, distinct tags `<place>:<action>`, at most `MAX_TAGS` and one.

    Raises:
        InvalidRedactionPath: a path does not follow the grammar.
        ValueError: unknown action, or `hash` without a key.
    """
    return Redactor(tuple(paths) if not isinstance(paths, str) else paths, action, key)(event)


@dataclass(frozen=True, slots=True)
class Redactor:
    """`redact_event_fields` with its paths, action and key fixed, for many events and any thread.

    A `RedactionRule` among the paths has an action of its own.

    >>> Redactor(["payload.**.ssn"], "remove")({"payload": {"people": [{"ssn": "1", "id": 7}]}})
    ({'payload': {'people': [{'id': 7}]}}, ('payload.people[*].ssn:remove',))

    Raises:
        InvalidRedactionPath: a path does not follow the grammar.
        ValueError: unknown action, or `hash` without a key.
    """

    paths: Sequence[str | RedactionRule]
    action: RedactionAction = "mask"
    key: bytes | None = field(default=None, repr=False)
    _compiled: CompiledPaths = field(init=False, repr=False, compare=False)
    _replacing: _Replacing = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.paths, str | RedactionRule):
            raise InvalidRedactionPath(str(self.paths), 0, "give a list of paths, not a single one")
        rules = [rule if isinstance(rule, RedactionRule) else RedactionRule(rule, self.action) for rule in self.paths]
        actions = {self.action, *(rule.action for rule in rules)}
        for action in actions.difference(get_args(RedactionAction)):
            raise ValueError(f"action: {action!r} is not one of {', '.join(get_args(RedactionAction))}")
        if "hash" in actions and not self.key:
            raise ValueError("key: the action hash needs one")
        marks = [_STRENGTH.index(rule.action) for rule in rules]
        object.__setattr__(self, "_compiled", compile_paths([rule.path for rule in rules], marks))
        hashed = partial(_hash, self.key or b"")
        replacing = _Replacing(
            (_kept, masked, hashed, _remove_key), (_kept, masked, hashed, _remove_item), max(marks, default=0)
        )
        object.__setattr__(self, "_replacing", replacing)
        object.__setattr__(self, "paths", tuple(self.paths))

    def __call__(self, event: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the redacted copy of an event and the tags that name what was touched."""
        walk = _Walk(self._replacing)
        redacted = walk.object(event, self._compiled.start, "", MAX_WALK_DEPTH)
        return dict(event) if redacted is event else redacted, walk.tags()


class _Walk:
    """One pass over one event; a method returns the very value it was given if nothing below was touched."""

    __slots__ = ("_more", "_of_item", "_of_key", "_strongest", "_tags")

    def __init__(self, replacing: _Replacing) -> None:
        self._of_key, self._of_item, self._strongest = replacing
        self._tags: set[str] = set()
        self._more: set[str] = set()

    def tags(self) -> tuple[str, ...]:
        return tuple(sorted(self._tags | self._more))

    def object(self, value: Mapping[Any, Any], state: PathState, place: str, room: int) -> Any:
        copy: dict[Any, Any] | None = None
        steps = state.steps_at(place)
        for key in state.keys_of(value):
            item = value.get(key, _ABSENT)
            if item is _ABSENT:
                continue
            step = steps.get(key)
            below = state.after_key(key) if step is None else step[0]
            if not below.hit and not (below.live and _is_container(item)):
                continue
            there = state.step(steps, place, key, below) if step is None else step[1]
            new = self._value(item, below, there, room - 1, self._of_key)
            if new is item:
                continue
            copy = dict(value) if copy is None else copy
            if new is _GONE:
                del copy[key]
            else:
                copy[key] = new
        return value if copy is None else copy

    def _array(self, value: Sequence[Any], state: PathState, place: str, room: int) -> Any:
        copy: list[Any] | None = None
        for index, item in enumerate(value):
            below = state.after_item(index)
            if not below.hit and not (below.live and _is_container(item)):
                continue
            new = self._value(item, below, state.item_place(place, index), room - 1, self._of_item)
            if new is not item:
                copy = list(value) if copy is None else copy
                copy[index] = new
        return value if copy is None else copy

    def _value(self, value: Any, state: PathState, place: str, room: int, replace: _Replacements) -> Any:
        mark = state.hit or (self._strongest if room == 0 else 0)
        if mark:
            new = replace[mark](value)
            if new is not value:
                self._touch(place, mark)
            return new
        if type(value) is dict or isinstance(value, Mapping):
            return self.object(value, state, place, room)
        return self._array(value, state, place, room)

    def _touch(self, place: str, mark: int) -> None:
        tag = f"{place}:{_STRENGTH[mark]}"
        if len(self._tags) < MAX_TAGS:
            self._tags.add(tag)
        elif tag not in self._tags:
            self._more.add(f"+more:{_STRENGTH[mark]}")


def _is_container(value: Any) -> bool:
    return type(value) is dict or (
        not isinstance(value, (str, int, float)) and isinstance(value, (dict, list, tuple, Mapping))
    )


def masked(value: Any) -> Any:
    """Return what the action `mask` leaves of a value."""
    if value is None:
        return None
    if not isinstance(value, str):
        return MASK
    if value.startswith(MASK) and _MASKED.fullmatch(value):
        return value
    return MASK + value[-_VISIBLE:] if len(value) > _WHOLLY_MASKED else MASK


def _hash(key: bytes, value: Any) -> Any:
    if value is None or (isinstance(value, str) and (value == MASK or _HASHED.fullmatch(value))):
        return value
    try:
        canonical = canonical_json(value)
    except CanonicalError:
        return MASK
    return HASH_PREFIX + hmac.digest(key, canonical, "sha256")[:_HASH_BYTES].hex()


def _kept(value: Any) -> Any:
    return value


def _remove_key(_value: Any) -> Any:
    return _GONE


def _remove_item(_value: Any) -> Any:
    return None
