"""The canonical JSON of an event in one go: the very bytes that `canonical_json` makes of its record.

Rules of this file: pure; it takes the events that almost all are and leaves every other to the exact walk. An encoder
in Rust writes what Python has put in order, which costs a third of asking for a record and walking through it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic_core import to_json

from tenaudit.audit.integrity.canonical import MAX_DEPTH, MAX_SAFE_INTEGER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenaudit.audit.event import AuditEvent

__all__ = ["event_text"]

_NoneType = type(None)
# In the order of the names, which is that of the text (RFC 8785, section 3.2.3); with the types of their values.
_FIELDS: dict[str, tuple[type, ...]] = {
    "action": (str,),
    "actor_id": (str, _NoneType),
    "actor_type": (str,),
    "event_id": (UUID,),
    "occurred_at": (datetime,),
    "outcome": (str,),
    "payload": (dict,),
    "producer_id": (str, _NoneType),
    "redactions": (tuple,),
    "resource_id": (str, _NoneType),
    "resource_type": (str, _NoneType),
    "schema_version": (int,),
    "seq": (int, _NoneType),
    "service": (str,),
    "severity": (str,),
    "tenant_id": (UUID,),
    "trace_id": (str, _NoneType),
}
# A field that an event lacks keeps a value that is none of these.
_ORDER = dict.fromkeys(_FIELDS, ...)
# One look instead of seventeen: all 64 ways in which an event's types may be.
_SIGNATURES = frozenset(product(*_FIELDS.values()))
_TEXT = frozenset({str})
_LEAVES = frozenset({str, bool, _NoneType})
_NO_OFFSET = timedelta(0)


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
    # What holds half a character, or is no event at all, is told by the exact walk; a zone may raise what it likes.
    except Exception:  # noqa: BLE001 - see above
        return None


def _written(event: AuditEvent) -> bytes:
    record: dict[str, Any] = _ORDER | vars(event)
    if tuple(map(type, record.values())) not in _SIGNATURES:
        raise _Doubt
    moment, redactions = record["occurred_at"], record["redactions"]
    if (
        moment.utcoffset() != _NO_OFFSET
        or (redactions and not _TEXT.issuperset(map(type, redactions)))
        or not _is_safe(record["schema_version"])
        or not _is_safe(record["seq"] or 0)
    ):
        raise _Doubt
    if not moment.microsecond:
        # The encoder would leave out a fraction that is zero.
        record["occurred_at"] = moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    record["payload"] = _ordered(record["payload"], MAX_DEPTH - 1)
    return to_json(record)


def _is_safe(value: int) -> bool:
    return -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER


def _ordered(value: dict[str, Any], room: int) -> dict[str, Any]:
    """Return a copy with the keys in order, at every level."""
    # The order of UTF-16 (RFC 8785, section 3.2.3) is surely that of Python for ASCII.
    if room == 0 or not _TEXT.issuperset(map(type, value)) or not "".join(value).isascii():
        raise _Doubt
    return {key: item if type(item := value[key]) in _LEAVES else _inner(item, room) for key in sorted(value)}


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
