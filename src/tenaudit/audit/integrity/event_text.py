"""The canonical JSON of an event in one go: the very bytes that `canonical_json` makes of its record.

Rules of this file: pure; it takes the events that almost all are and leaves every other to the exact walk. An encoder
in Rust writes what Python has put in order, which costs a third of asking for a record and walking through it.
"""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic_core import to_json

from tenaudit.audit.integrity.canonical import MAX_DEPTH, MAX_SAFE_INTEGER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenaudit.audit.event import AuditEvent

__all__ = ["event_text"]

_required = attrgetter("action", "actor_type", "outcome", "service", "severity")
_optional = attrgetter("actor_id", "producer_id", "resource_id", "resource_type", "trace_id")
_TEXT = frozenset({str})
_TEXT_OR_NONE = frozenset({str, type(None)})
_LEAVES = frozenset({str, bool, type(None)})
_ZERO = "+00:00"


class _Doubt(Exception):  # noqa: N818 - a signal within this file, not an error
    """A value that the encoder might write in another way."""


def event_text(event: AuditEvent) -> bytes | None:
    """Return the RFC 8785 form of the event's record; None where a field is not exactly of its own type, or in doubt.

    In doubt are fractions, keys beyond ASCII, times that are not in UTC and half characters; such events may still
    have a canonical form.

    Example:
        >>> from tenaudit.audit import AuditEvent
        >>> event = AuditEvent(
        ...     event_id="0190a5b2-7c00-7000-8000-000000000001", tenant_id="7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f",
        ...     occurred_at="2024-07-12T00:00:00Z", action="payment.voided", service="payment",
        ...     payload={"b": 1, "a": 2},
        ... )
        >>> event_text(event)[182:225]
        b'"payload":{"a":2,"b":1},"producer_id":null,'
    """
    try:
        return _written(event)
    # What has no such field, or holds half a character, is told by the exact walk.
    except (_Doubt, AttributeError, ValueError):
        return None


def _written(event: AuditEvent) -> bytes:
    required, optional = _required(event), _optional(event)
    event_id, tenant_id, redactions = event.event_id, event.tenant_id, event.redactions
    if not (
        _TEXT.issuperset(map(type, required))
        and _TEXT_OR_NONE.issuperset(map(type, optional))
        and type(event_id) is UUID
        and type(tenant_id) is UUID
        and type(redactions) is tuple
        and _TEXT.issuperset(map(type, redactions))
    ):
        raise _Doubt
    action, actor_type, outcome, service, severity = required
    actor_id, producer_id, resource_id, resource_type, trace_id = optional
    # In the order of the names.
    return to_json(
        {
            "action": action,
            "actor_id": actor_id,
            "actor_type": actor_type,
            "event_id": event_id,
            "occurred_at": _moment(event.occurred_at),
            "outcome": outcome,
            "payload": _ordered(event.payload, MAX_DEPTH - 1),
            "producer_id": producer_id,
            "redactions": redactions,
            "resource_id": resource_id,
            "resource_type": resource_type,
            "schema_version": _integer(event.schema_version),
            "seq": None if event.seq is None else _integer(event.seq),
            "service": service,
            "severity": severity,
            "tenant_id": tenant_id,
            "trace_id": trace_id,
        }
    )


def _moment(value: datetime) -> str:
    text = value.isoformat(timespec="microseconds")
    if type(value) is not datetime or not text.endswith(_ZERO):
        raise _Doubt
    return text[: -len(_ZERO)] + "Z"


def _integer(value: int) -> int:
    if type(value) is not int or not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        raise _Doubt
    return value


def _ordered(value: dict[str, Any], room: int) -> dict[str, Any]:
    """Return a copy with the keys in order, at every level."""
    # The order of UTF-16 (RFC 8785, section 3.2.3) is surely that of Python for ASCII.
    if type(value) is not dict or room == 0 or not _TEXT.issuperset(map(type, value)) or not "".join(value).isascii():
        raise _Doubt
    return {key: value[key] if type(value[key]) in _LEAVES else _inner(value[key], room) for key in sorted(value)}


def _inner(value: Any, room: int) -> Any:
    kind = type(value)
    if kind is int and -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        return value
    if kind is dict:
        return _ordered(value, room - 1)
    if kind is list or kind is tuple:
        return _each(value, room - 1)
    raise _Doubt


def _each(value: Iterable[Any], room: int) -> list[Any]:
    if room == 0:
        raise _Doubt
    return [item if type(item) in _LEAVES else _inner(item, room) for item in value]
