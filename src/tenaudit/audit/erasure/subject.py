"""Where a person's values stand in an event, and what an event is without them; pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.integrity.canonical import CanonicalError, canonical_json
from tenaudit.audit.integrity.commitments import erased_places, kept_openings
from tenaudit.audit.integrity.json_pointer import value_at, without

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from tenaudit.audit.integrity.commitments import Openings

__all__ = ["ErasedRow", "StoredEvent", "Subject"]

_LONGEST = 16 * 1024
_SHOWN_DEPTH = 2


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as a store has it.

    Args:
        index: its place in the log, None where it has none.
        event_id: which it is.
        record: its wire form, empty if it does not fit.
        openings: what tells the hashes that its leaf commits to.
        fits: whether the row is what its leaf was made of.
    """

    index: int | None
    event_id: UUID
    record: Mapping[str, Any]
    openings: Openings
    fits: bool


@dataclass(frozen=True, slots=True)
class ErasedRow:
    """What is written over a row.

    Args:
        event_id: which event.
        actor_id: what is left of the actor.
        resource_id: what is left of the resource.
        payload: what is left of the payload, canonical JSON.
        commitments: the hashes of what is gone, and the salts of the rest.
    """

    event_id: UUID
    actor_id: str | None
    resource_id: str | None
    payload: str
    commitments: str


class Subject:
    """A person, by the text that names them in events.

    Everything that the leaf of an event of theirs commits to by a salted hash is taken for theirs; in events of others
    it is what names them, as a whole text, wherever that stands.

    Args:
        name: the text.

    Raises:
        ConfigurationError: it is empty, longer than 16384 characters, or no text that an event can hold.

    Example:
        >>> alice = Subject("alice")
        >>> alice.is_in({"users": ["bob", "alice"]}), alice.is_in("alice and bob")
        (True, False)
    """

    def __init__(self, name: str) -> None:
        if not name.strip() or len(name) > _LONGEST or "\0" in name:
            raise ConfigurationError(f"subject must be a text of 1 to {_LONGEST} characters")
        try:
            self.quoted = canonical_json(name).decode()
        except CanonicalError:
            raise ConfigurationError("subject holds half a character") from None
        self.name = name
        self.spellings = tuple(dict.fromkeys((self.quoted, json.dumps(name))))
        """What the name is in JSON: canonical, as stores write it, and with escapes for all beyond ASCII."""

    def __repr__(self) -> str:
        return "Subject(...)"

    def is_in(self, value: Any) -> bool:
        """Tell whether a value is the name, or holds it, as a key too."""
        if isinstance(value, dict):
            return self.name in value or any(map(self.is_in, value.values()))
        return any(map(self.is_in, value)) if isinstance(value, list) else bool(value == self.name)

    def erasable(self, event: StoredEvent) -> tuple[str, ...]:
        """Return the places of an event that are to be erased."""
        gone = erased_places(event.openings)
        there = [place for place in event.openings if place not in gone]
        if event.record["actor_id"] == self.name:
            return tuple(there)
        return tuple(place for place in there if self.is_in(value_at(event.record, place)))

    def left_at(self, event: StoredEvent) -> Iterator[str]:
        """Yield where the name stays in an event, since the leaf commits to the very values there; never the name."""
        record = without(event.record, self.erasable(event))
        for name in ("actor_id", "resource_id"):
            if record[name] == self.name:
                yield name
        yield from self._places(record["payload"], "payload", _SHOWN_DEPTH)

    def _places(self, value: Any, place: str, depth: int) -> Iterator[str]:
        # Names of keys are the event's, and may be long: what is shown stays short.
        if isinstance(value, dict) and depth:
            if self.name in value:
                yield f"a key of {place}"
            for key, item in value.items():
                shown = "*" if self.name in key else key[:64]
                yield from self._places(item, f"{place}.{shown}", depth - 1)
        elif self.is_in(value):
            yield place

    def erased(self, event: StoredEvent) -> tuple[tuple[str, ...], ErasedRow] | None:
        """Return the places that are to be erased and what is then written over the row; None where nothing is."""
        places = self.erasable(event)
        if not places:
            return None
        rest = without(event.record, places)
        kept = kept_openings(event.record, event.openings, places)
        payload = canonical_json(rest["payload"]).decode()
        return places, ErasedRow(event.event_id, rest["actor_id"], rest["resource_id"], payload, kept)
