"""The wire form of our own events, from an export or another store, back as the same events.

Rules of this file: pure; a record that is not ours is refused by name, and no value is guessed or converted.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import to_json

from tenaudit._kernel.ids import unix_ms_of
from tenaudit.audit.event import AuditEvent, wire_time
from tenaudit.audit.export import PROOF, TRAILER
from tenaudit.audit.importers.fields import object_of, refused_by_model, required_text
from tenaudit.audit.importers.importer import Found, Passed, Refused
from tenaudit.audit.importers.json_documents import documents, lines
from tenaudit.audit.importers.moment import rfc3339_moment, unix_ms
from tenaudit.audit.importers.storable import storable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

__all__ = ["WireImporter", "event_of_wire"]

# The field that only records of another format have, so that the refusal can say which one it is.
_SIGNS: Mapping[str, str] = MappingProxyType(
    {
        "Records": "cloudtrail",
        "eventID": "cloudtrail",
        "auditID": "kubernetes",
        "_document_id": "github",
        "specversion": "cloudevents",
    }
)
_REQUIRED = ("event_id", "tenant_id", "occurred_at", "action", "service")
_FIELDS = frozenset(AuditEvent.model_fields)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_DAY_MS = 86_400_000


class WireImporter:
    """Reads one wire record a line, or a JSON array of them.

    Example:
        >>> from tenaudit.audit import AuditEvent
        >>> event = AuditEvent(
        ...     event_id="0190a5b2-7c00-7000-8000-000000000001",
        ...     tenant_id="7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f",
        ...     occurred_at="2024-07-12T00:00:00Z", action="payment.voided", service="payment")
        >>> WireImporter().event(event.record()) == event
        True
    """

    __slots__ = ()

    name = "ndjson"
    about = "events as tenaudit exports them, one a line"
    needs_tenant = False

    def records(self, text: str) -> Iterator[Found]:
        """Yield the records of a file.

        Raises:
            BrokenFile: `invalid_json` or `json_too_deep`.
        """
        return documents(text)

    def lines(self, text: str, first: int) -> Iterator[Found]:
        """Yield the records of whole lines, the first of which has the number *first*."""
        return lines(text, first)

    def event(self, record: Any, tenant_id: UUID | None = None) -> AuditEvent:
        """Return the event that the record is the wire form of.

        Args:
            record: a record as `json` reads it.
            tenant_id: whose events are taken; None takes those of every tenant.

        Raises:
            Refused: see `event_of_wire`.
        """
        if isinstance(record, dict) and PROOF in record:
            # What an export says of an event's proof is not part of the event.
            record = {name: value for name, value in record.items() if name != PROOF}
        return event_of_wire(record, tenant_id)


def event_of_wire(record: Any, tenant_id: UUID | None) -> AuditEvent:
    """Return the event of a wire record; what its payload holds that no store takes is changed and tagged.

    Raises:
        Passed: the last line of an export, which is no event.
        Refused: `not_an_object`, `other_format`, `unknown_field`, `missing_field`, `invalid_time`, `invalid_id`,
            `other_tenant` when *tenant_id* is not the record's, `invalid_event`, or a reason of `storable`.
    """
    fields = object_of(record)
    if fields.keys() == {TRAILER}:
        raise Passed("export_end")
    _require_ours(fields)
    moment = rfc3339_moment(fields["occurred_at"])
    if moment is None:
        raise Refused("invalid_time", "occurred_at is no RFC 3339 time such as 2024-07-12T00:00:00Z")
    payload, tags = storable(object_of(fields.get("payload", {})))
    event = _validated({**fields, "occurred_at": wire_time(moment), "payload": payload})
    if unix_ms_of(event.event_id) - unix_ms(moment) > _DAY_MS:
        raise Refused("invalid_id", "event_id tells a time more than a day after occurred_at")
    if tenant_id is not None and event.tenant_id != tenant_id:
        raise Refused("other_tenant", "the record is another tenant's")
    return event if not tags else event.model_copy(update={"redactions": _merged(event.redactions, tags)})


def _require_ours(record: Mapping[str, Any]) -> None:
    other = next((name for sign, name in _SIGNS.items() if sign in record), None)
    if other is not None:
        raise Refused("other_format", f"this is a record of {other}; import it with --format {other}")
    if not _FIELDS.issuperset(record):
        raise Refused("unknown_field", "the record has a field that no event has")
    for field in _REQUIRED:
        required_text(record, field)
    for field in ("event_id", "tenant_id"):
        if _UUID.match(record[field]) is None:
            raise Refused("invalid_id", f"{field} is no UUID of lower-case digits with hyphens")


def _validated(record: Mapping[str, Any]) -> AuditEvent:
    try:
        # Through JSON, since only there a strict model takes a UUID and a time as text.
        return AuditEvent.model_validate_json(to_json(record, inf_nan_mode="constants"), strict=True)
    except ValidationError as error:
        raise refused_by_model(error) from None
    except ValueError:
        raise Refused("invalid_event", "a field holds a lone surrogate, or is nested too deep") from None


def _merged(tags: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return (*tags, *(tag for tag in more if tag not in tags))
