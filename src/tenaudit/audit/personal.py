"""Which fields of an event may be a person's, so that they can be erased one day without breaking a proof."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.integrity.commitments import ACTOR_ONLY
from tenaudit.audit.mappers.source_ip import PLACES
from tenaudit.audit.redaction_paths import InvalidRedactionPath, compile_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.redaction_paths import PathState
    from tenaudit.audit.redaction_rules import RedactionRules

__all__ = ["PersonalFields"]

_RESOURCE = "/resource_id"
_PAYLOAD = "/payload"
# Of one event; of one with more the whole fields that they are in are committed to.
_MOST_PLACES = 256
_ALWAYS = ("actor_id", *(f"payload.{name}" for name in PLACES))


class PersonalFields:
    """The fields that a store commits to by a salted hash: the actor, the client's address, and those of some paths.

    Args:
        paths: further ones, in the grammar of `tenaudit.audit.redaction_paths`; they begin with `actor_id`,
            `resource_id` or `payload`. A path to an object is all of it. Of an event with more than 256 such places the
            fields of the payload that they are in count as one place each.

    Raises:
        ConfigurationError: a path does not follow the grammar, or reaches none of these fields.

    Example:
        >>> from tenaudit.audit import AuditEvent
        >>> event = AuditEvent(
        ...     event_id="0190a5b2-7c00-7000-8000-000000000001", tenant_id="7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f",
        ...     occurred_at="2024-07-12T00:00:00Z", action="user.invited", service="demo", actor_id="alice",
        ...     payload={"client_ip": "192.0.2.7", "users": [{"email": "bob@example.com", "role": "admin"}]})
        >>> PersonalFields(["payload.users[*].email"]).places(event)
        ('/actor_id', '/payload/client_ip', '/payload/users/0/email')
    """

    def __init__(self, paths: Sequence[str] = ()) -> None:
        try:
            self._start = compile_paths([*_ALWAYS, *paths]).start
            for path in paths:
                if not _reaches(compile_paths([path]).start):
                    raise ConfigurationError(f"{path!r} reaches none of actor_id, resource_id and payload")
        except InvalidRedactionPath as error:
            raise ConfigurationError(f"personal fields: {error}") from None
        self._has_resource = bool(self._start.after_key("resource_id").hit)
        self._payload = self._start.after_key("payload")
        only = None if self._payload.hit else self._payload.only_names
        # Most events have none of a few names, which one look tells.
        self._names = None if only is None else frozenset(only)

    @classmethod
    def of_rules(cls, rules: RedactionRules) -> Self:
        """Return the fields that redaction rules list, of any tenant; those that every event must have are left out."""
        listed = [*rules.rules, *(rule for more in rules.tenants.values() for rule in more)]
        paths = dict.fromkeys(rule.path for rule in listed)
        return cls([path for path in paths if _reaches(compile_paths([path]).start)])

    def places(self, event: AuditEvent) -> tuple[str, ...]:
        """Return the JSON pointers of the fields that an event has, in order; none lies below another."""
        payload = event.payload
        actor = () if event.actor_id is None else ACTOR_ONLY
        if not self._has_resource and self._names is not None and self._names.isdisjoint(payload):
            return actor
        resource = (_RESOURCE,) if self._has_resource and event.resource_id is not None else ()
        return tuple(sorted((*actor, *self._in_payload(payload), *resource)))

    def _in_payload(self, payload: dict[str, Any]) -> Iterator[str]:
        if not self._payload.hit:
            found = [*islice(_found(self._payload, payload, _PAYLOAD), _MOST_PLACES + 1)]
            return iter(found) if len(found) <= _MOST_PLACES else self._around(payload)
        # A payload is always an object, so all of it goes by what is in it.
        return (_pointer(_PAYLOAD, key) for key, value in payload.items() if value is not None)

    def _around(self, payload: dict[str, Any]) -> Iterator[str]:
        """Yield the fields of the payload that have the places in them: each place costs, and goes into records."""
        for key, item in payload.items():
            if next(_found(self._payload, {key: item}, _PAYLOAD), None) is not None:
                yield _pointer(_PAYLOAD, key)


def _reaches(start: PathState) -> bool:
    payload = start.after_key("payload")
    return bool(payload.hit or payload.live or any(start.after_key(name).hit for name in ("actor_id", "resource_id")))


def _found(state: PathState, value: Any, place: str) -> Iterator[str]:
    for key, item, below in _steps(state, value):
        if item is None:
            continue
        if below.hit:
            yield _pointer(place, key)
        elif below.live and isinstance(item, dict | list | tuple):
            yield from _found(below, item, _pointer(place, key))


def _steps(state: PathState, value: Any) -> Iterator[tuple[object, Any, PathState]]:
    if isinstance(value, dict):
        return ((key, value[key], state.after_key(key)) for key in state.keys_of(value) if key in value)
    return ((index, item, state.after_item(index)) for index, item in enumerate(value))


def _pointer(place: str, key: object) -> str:
    return f"{place}/{str(key).replace('~', '~0').replace('/', '~1')}"
