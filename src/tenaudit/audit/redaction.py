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

from tenaudit.audit.event import AuditEvent
from tenaudit.audit.integrity.canonical import CanonicalError, canonical_json
from tenaudit.audit.redaction_paths import CompiledPaths, InvalidRedactionPath, PathState, compile_paths
from tenaudit.audit.redaction_plan import GONE, Replacements, Replacing, Tags, Walk, is_container, plan_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

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
_MORE = frozenset(f"+more:{action}" for action in _STRENGTH)
# Of an event's fields; no path leads on through another.
_CONTAINERS = frozenset({"payload", "redactions"})
_ABSENT: Final = object()


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
    _walk: Walk = field(init=False, repr=False, compare=False)
    _start: PathState = field(init=False, repr=False, compare=False)

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
        start = compile_paths([rule.path for rule in rules], marks).start
        hashed = partial(_hash, self.key or b"")
        of_key, of_item = (_kept, masked, hashed, _remove_key), (_kept, masked, hashed, _remove_item)
        replacing = Replacing(of_key, of_item, _STRENGTH, max(marks, default=0))
        walk, _ = plan_of(start, "", MAX_WALK_DEPTH, of_key, replacing, partial(_look_at_all, replacing))
        object.__setattr__(self, "_walk", walk)
        object.__setattr__(self, "_start", start)
        object.__setattr__(self, "paths", tuple(self.paths))

    def __call__(self, event: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the redacted copy of an event and the tags that name what was touched."""
        tags: Tags = {}
        redacted = self._walk(event, tags)
        return dict(event) if redacted is event else redacted, _told(tags)

    def peek(self, event: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return what a call does; nothing counts either."""
        return self(event)

    def reached_fields(self, _tenant_id: UUID) -> frozenset[str]:
        """Return the fields of an event that a path may end in or below, of every tenant alike."""
        steps = {name: self._start.after_key(name) for name in AuditEvent.model_fields}
        return frozenset(name for name, step in steps.items() if step.hit or (step.live and name in _CONTAINERS))


def _told(tags: Tags) -> tuple[str, ...]:
    if len(tags) <= MAX_TAGS:
        return tuple(sorted(tags))
    places = [tag for tag in tags if tag not in _MORE]
    more = {f"+more:{_STRENGTH[tags[tag]]}" for tag in places[MAX_TAGS:]}
    return tuple(sorted({*places[:MAX_TAGS], *more, *(_MORE & tags.keys())}))


def _look_at_all(replacing: Replacing, state: PathState, place: str, room: int, replace: Replacements) -> Walk:
    """Return a walk that looks at whatever is there, for paths that may lead through any key."""
    return lambda value, tags: _Walk(replacing, tags).value(value, state, place, room, replace)


class _Walk:
    """One pass over one event; a method returns the very value it was given if nothing below was touched."""

    __slots__ = ("_replacing", "_tags")

    def __init__(self, replacing: Replacing, tags: Tags) -> None:
        self._replacing = replacing
        self._tags = tags

    def _object(self, value: Mapping[Any, Any], state: PathState, place: str, room: int) -> Any:
        copy: dict[Any, Any] | None = None
        steps = state.steps_at(place)
        for key in state.keys_of(value):
            item = value.get(key, _ABSENT)
            if item is _ABSENT:
                continue
            step = steps.get(key)
            below = state.after_key(key) if step is None else step[0]
            if not below.hit and not (below.live and is_container(item)):
                continue
            there = state.step(steps, place, key, below) if step is None else step[1]
            new = self.value(item, below, there, room - 1, self._replacing.of_key)
            if new is not item:
                copy = dict(value) if copy is None else copy
                if new is GONE:
                    del copy[key]
                else:
                    copy[key] = new
        return value if copy is None else copy

    def _array(self, value: Sequence[Any], state: PathState, place: str, room: int) -> Any:
        copy: list[Any] | None = None
        for index, item in enumerate(value):
            below = state.after_item(index)
            if not below.hit and not (below.live and is_container(item)):
                continue
            new = self.value(item, below, state.item_place(place, index), room - 1, self._replacing.of_item)
            if new is not item:
                copy = list(value) if copy is None else copy
                copy[index] = new
        return value if copy is None else copy

    def value(self, value: Any, state: PathState, place: str, room: int, replace: Replacements) -> Any:
        mark = state.hit or (self._replacing.strongest if room == 0 else 0)
        if mark:
            new = replace[mark](value)
            if new is not value:
                self._touch(place, mark)
            return new
        if type(value) is dict or isinstance(value, Mapping):
            return self._object(value, state, place, room)
        return self._array(value, state, place, room)

    def _touch(self, place: str, mark: int) -> None:
        tag = f"{place}:{_STRENGTH[mark]}"
        # Places come from keys, which may be hostile.
        if len(self._tags) >= MAX_TAGS and tag not in self._tags:
            tag = f"+more:{_STRENGTH[mark]}"
        self._tags[tag] = mark


def masked(value: Any) -> Any:
    """Return what the action `mask` leaves of a value."""
    if not isinstance(value, str):
        return None if value is None else MASK
    if len(value) > _WHOLLY_MASKED:
        return MASK + value[-_VISIBLE:]
    return value if _MASKED.fullmatch(value) else MASK


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
    return GONE


def _remove_item(_value: Any) -> Any:
    return None
