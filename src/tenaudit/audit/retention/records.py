"""What a store writes into a tenant's own log: purges, periods, holds and erasures, as events; pure.

A copy of each is kept beside the log, since the event itself is purged when its time has come. The copy is the very
text that the event's leaf commits to, so nobody can make one up later, and nobody can change one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.ids import Uuid7Source
from tenaudit.audit.event import AuditEvent, wire_time
from tenaudit.audit.retention.ranges import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tenaudit.audit.retention.ranges import Range

__all__ = [
    "ERASED",
    "HOLD_PLACED",
    "HOLD_RELEASED",
    "PERIOD_SET",
    "PURGED",
    "RESERVED_ACTIONS",
    "ArchivedFile",
    "KeptRecord",
    "Removal",
    "checked_text",
    "erasure_event",
    "hold_event",
    "is_older",
    "kept_record",
    "period_event",
    "purge_event",
]

PURGED = "audit.purged"
PERIOD_SET = "audit.retention_set"
HOLD_PLACED = "audit.hold_placed"
HOLD_RELEASED = "audit.hold_released"
ERASED = "audit.erased"

_ids = Uuid7Source()
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file that holds purged events.

    Args:
        name: its path below the folder of archives.
        rows: how many events are in it.
        sha256: the hash of its bytes, in hex.
    """

    name: str
    rows: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"name": self.name, "rows": self.rows, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Removal:
    """What one step of a purge takes out of a tenant's log.

    Args:
        ranges: the places, ascending.
        newest: when the newest of the events occurred.
        before: the time before which events may go.
        days: the period that this is by.
        archives: the files that hold the events.
    """

    ranges: tuple[Range, ...]
    newest: datetime
    before: datetime
    days: int
    archives: tuple[ArchivedFile, ...] = ()

    @property
    def rows(self) -> int:
        """How many events go."""
        return rows_of(self.ranges)


def purge_event(tenant_id: UUID, removal: Removal, by: str, now: datetime) -> AuditEvent:
    """Return the event that a purge writes into the log that it takes events out of."""
    payload = {
        "ranges": [[first, last] for first, last in removal.ranges],
        "rows": removal.rows,
        "newest": wire_time(removal.newest),
        "before": wire_time(removal.before),
        "days": removal.days,
        "archives": [file.to_json() for file in removal.archives],
    }
    return _event(tenant_id, PURGED, payload, by, now)


def period_event(tenant_id: UUID, days: int | None, by: str, now: datetime) -> AuditEvent:
    """Return the event of a period that was set; None goes back to the default one."""
    return _event(tenant_id, PERIOD_SET, {"days": days}, by, now)


def hold_event(tenant_id: UUID, reason: str, by: str, now: datetime, *, placed: bool) -> AuditEvent:
    """Return the event of a legal hold that was placed or released."""
    return _event(tenant_id, HOLD_PLACED if placed else HOLD_RELEASED, {"reason": reason}, by, now)


def erasure_event(
    tenant_id: UUID, erased: Mapping[str, Sequence[Range]], others: Mapping[str, int], by: str, now: datetime
) -> AuditEvent:
    """Return the event that erasing a person's values writes into the log; whose they were, it does not tell.

    Args:
        tenant_id: whose log it is.
        erased: where values went: places in the log by place in the event.
        others: how many rows beside the log went, by what they are.
        by: who asked for it.
        now: when.
    """
    fields = {place: [[first, last] for first, last in ranges] for place, ranges in sorted(erased.items())}
    return _event(tenant_id, ERASED, {"erased": fields, **others}, by, now)


def checked_text(name: str, text: object) -> str:
    """Return a text that says who or why.

    Raises:
        ConfigurationError: it is none, is empty, longer than 1024 characters, or cannot be stored; it names the field.
    """
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST or not _is_storable(text):
        raise ConfigurationError(f"{name} must be a text of 1 to {_LONGEST} characters")
    return text


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= mark <= "\udfff" for mark in text)


def _event(tenant_id: UUID, action: str, payload: dict[str, Any], by: str, now: datetime) -> AuditEvent:
    return AuditEvent(
        event_id=UUID(int=_ids.next(max(0, int(now.timestamp() * 1000)))),
        tenant_id=tenant_id,
        occurred_at=now,
        actor_id=by,
        actor_type="operator",
        action=action,
        resource_type="audit_log",
        resource_id=str(tenant_id),
        service="tenaudit",
        payload=payload,
    )


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record of retention as it can be read.

    Args:
        action: what it is about.
        at: when it was written.
        by: who did it.
        days: the period of a purge, or the one that was set.
        reason: why a hold was placed or released.
        ranges: the places that a purge emptied.
        newest: when the newest of the purged events occurred.
        before: the time before which events could go.
        archives: the files that hold the purged events.
        erased: where an erasure took values: places in the log by place in the event.
    """

    action: str
    at: datetime
    by: str
    days: int | None = None
    reason: str = ""
    ranges: tuple[Range, ...] = ()
    newest: datetime | None = None
    before: datetime | None = None
    archives: tuple[str, ...] = ()
    erased: Mapping[str, tuple[Range, ...]] = field(default_factory=dict)


def kept_record(text: str, tenant_id: UUID | str, event_id: UUID | str) -> KeptRecord | None:
    """Return what a kept text says, None when it is no record of that tenant and event; it never raises."""
    try:
        fields = json.loads(text)
        if (fields["tenant_id"], fields["event_id"]) != (str(tenant_id), str(event_id)):
            return None
        return _readers[fields["action"]](fields, fields["payload"])
    except (ValueError, TypeError, LookupError, RecursionError, AttributeError):
        return None


def is_older(text: str, before: datetime) -> bool:
    """Tell whether a kept event occurred before a time; one that cannot be read did not."""
    try:
        return _moment(json.loads(text)["occurred_at"]) < before
    except (ValueError, TypeError, LookupError, RecursionError):
        return False


def _purged(fields: dict[str, Any], payload: dict[str, Any]) -> KeptRecord:
    ranges = _ranges(payload["ranges"])
    if payload["rows"] != rows_of(ranges):
        raise ValueError("another number of rows")
    return KeptRecord(
        **_common(fields),
        days=_whole(payload["days"]),
        ranges=ranges,
        newest=_moment(payload["newest"]),
        before=_moment(payload["before"]),
        archives=tuple(str(file["name"]) for file in payload["archives"]),
    )


def _ranges(pairs: Iterable[tuple[object, object]]) -> tuple[Range, ...]:
    ranges = tuple((_whole(first), _whole(last)) for first, last in pairs)
    if not ranges or not _ascend(ranges):
        raise ValueError("no ranges in order")
    return ranges


def _ascend(ranges: Sequence[Range]) -> bool:
    places: Iterable[int] = (place for one in ranges for place in one)
    behind = -1
    for number, place in enumerate(places):
        if place < behind + (number % 2 == 0):
            return False
        behind = place
    return True


def _period(fields: dict[str, Any], payload: dict[str, Any]) -> KeptRecord:
    days = payload["days"]
    return KeptRecord(**_common(fields), days=None if days is None else _whole(days))


def _hold(fields: dict[str, Any], payload: dict[str, Any]) -> KeptRecord:
    return KeptRecord(**_common(fields), reason=str(payload["reason"]))


def _erasure(fields: dict[str, Any], payload: dict[str, Any]) -> KeptRecord:
    return KeptRecord(**_common(fields), erased={place: _ranges(pairs) for place, pairs in payload["erased"].items()})


_readers = {PURGED: _purged, PERIOD_SET: _period, HOLD_PLACED: _hold, HOLD_RELEASED: _hold, ERASED: _erasure}
RESERVED_ACTIONS = frozenset(_readers)
"""Actions that a store alone may write: what a producer said could later pass for a record of a purge."""


def _common(fields: dict[str, Any]) -> dict[str, Any]:
    return {"action": fields["action"], "at": _moment(fields["occurred_at"]), "by": str(fields["actor_id"])}


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError("no zone")
    return moment


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("no whole number")
    return value
