r"""CloudEvents 1.0 in JSON: one event of any producer as one of ours, and our own back as they were.

Rules of this file: pure; the same record gives the same event, and what cannot be one raises `Refused`. An event whose
`dataschema` is ours is the event in its `data`. Every other one is read so:

=============  ======================================================================================
field          from
=============  ======================================================================================
`event_id`     UUIDv7 of the milliseconds of `time` and SHA-256 of `cloudevents:` + `source` and `id`
`tenant_id`    the caller's, else the extension `tenantid` when it is a UUID
`occurred_at`  `time`, which is optional in CloudEvents and needed here
`action`       `type`, its segments in snake case: `com.example.order_placed`
`service`      `source`, its first 128 characters
`actor_*`      the extensions `authid` and `authtype`, by `ACTOR_TYPES`
`resource_id`  `subject`
`outcome`      the extension `outcome` when it is one of ours, else `success`
`severity`     the extension `severitytext` when it is known, else `info`
`trace_id`     the extension `traceparent`, else `traceid`
`payload`      the whole event, see `tenaudit.audit.importers.storable`
=============  ======================================================================================
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, get_args
from uuid import UUID

from tenaudit._kernel.ids import uuid7_from_source
from tenaudit.audit.event import AuditEvent, Outcome, Severity, normal_severity
from tenaudit.audit.importers.fields import dotted_action, event_of, object_of, required_text, text_of
from tenaudit.audit.importers.importer import Found, Refused
from tenaudit.audit.importers.json_documents import documents, lines
from tenaudit.audit.importers.moment import moment_of, unix_ms
from tenaudit.audit.importers.storable import storable
from tenaudit.audit.importers.wire import event_of_wire
from tenaudit.audit.mappers.cloudevents import DATA_SCHEMA, SPEC_VERSION
from tenaudit.security import parse_traceparent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ACTOR_TYPES", "CloudEventsImporter"]

ACTOR_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "app_user": "user",
        "user": "user",
        "service_account": "service",
        "api_key": "api_key",
        "system": "system",
        "unauthenticated": "anonymous",
    }
)
"""Actor type of each `authtype`; any other is `unknown`, and neither type nor `authid` is `anonymous`."""

_MAX_TEXT: Final = 1024
_MAX_NAME: Final = 128
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
_TRACE = re.compile(r"[0-9a-f]{32}\Z")


class CloudEventsImporter:
    """Reads structured CloudEvents: one, a batch (a JSON array), or one a line.

    Example:
        >>> event = CloudEventsImporter().event({
        ...     "specversion": "1.0", "id": "7", "source": "/shop", "type": "com.example.OrderPlaced",
        ...     "time": "2024-07-12T00:00:00Z", "subject": "order/7",
        ...     "tenantid": "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"})
        >>> event.action, event.service, event.resource_id
        ('com.example.order_placed', '/shop', 'order/7')
    """

    __slots__ = ()

    name = "cloudevents"
    about = "CloudEvents 1.0 in JSON, one, a batch, or one a line"
    needs_tenant = False

    def records(self, text: str) -> Iterator[Found]:
        """Yield the events of a file, those of a batch one by one.

        Raises:
            BrokenFile: `invalid_json` or `json_too_deep`.
        """
        return _flat(documents(text))

    def lines(self, text: str, first: int) -> Iterator[Found]:
        """Yield the events of whole lines, the first of which has the number *first*."""
        return _flat(lines(text, first))

    def event(self, record: Any, tenant_id: UUID | None = None) -> AuditEvent:
        """Return the event of a record.

        Args:
            record: a record as `json` reads it.
            tenant_id: whose event it is; by default the tenant that the extension `tenantid` names. Of our own
                events only those of this tenant are taken.

        Raises:
            Refused: `not_an_object`, `missing_field`, `unknown_version`, `invalid_data`, `invalid_time`,
                `invalid_action`, `missing_tenant`, `other_id`, `invalid_event`, a reason of `event_of_wire`, or one
                of `storable`.
        """
        # A member that is null is one that is not there (JSON Event Format section 2.2), but for `data`.
        given = {name: value for name, value in object_of(record).items() if value is not None or name == "data"}
        if required_text(given, "specversion") != SPEC_VERSION:
            raise Refused("unknown_version", f"specversion is not {SPEC_VERSION}")
        source_id, source = required_text(given, "id", _MAX_TEXT), required_text(given, "source", _MAX_TEXT)
        if given.get("dataschema") == DATA_SCHEMA:
            return _own(given.get("data"), source_id, tenant_id)
        _check_data(given)
        payload, tags = storable(given)
        moment = moment_of(given.get("time"), "time")
        actor_id, actor_type = _actor(payload)
        return event_of(
            event_id=uuid7_from_source(unix_ms(moment), f"cloudevents:{json.dumps([source, source_id])}"),
            tenant_id=tenant_id or _tenant(given),
            occurred_at=moment,
            actor_id=actor_id,
            actor_type=actor_type,
            action=dotted_action(required_text(given, "type", _MAX_TEXT).split(".")),
            resource_id=text_of(payload.get("subject"), _MAX_TEXT),
            outcome=_outcome(given),
            severity=_severity(given),
            service=payload["source"][:_MAX_NAME],
            trace_id=_trace(given),
            payload=payload,
            redactions=tags,
        )


def _flat(found: Iterator[Found]) -> Iterator[Found]:
    for each in found:
        if isinstance(each.value, list):
            for item in each.value:
                yield Found(item, each.line)
        else:
            yield each


def _own(data: Any, source_id: str, tenant_id: UUID | None) -> AuditEvent:
    event = event_of_wire(data, tenant_id)
    if str(event.event_id) != source_id:
        raise Refused("other_id", "id is not the event_id of the data")
    return event


def _check_data(record: Mapping[str, Any]) -> None:
    """Refuse both forms of data at once, and binary data that is no Base64 (section 3.1.1)."""
    encoded = record.get("data_base64")
    if encoded is None:
        return
    if "data" in record:
        raise Refused("invalid_data", "data and data_base64 exclude each other")
    try:
        base64.b64decode(encoded if isinstance(encoded, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise Refused("invalid_data", "data_base64 is no Base64 text") from None


def _tenant(record: Mapping[str, Any]) -> UUID:
    named = record.get("tenantid")
    if not isinstance(named, str) or _UUID.match(named) is None:
        raise Refused("missing_tenant", "the event has no extension tenantid that is a UUID; give the tenant")
    return UUID(named)


def _actor(record: Mapping[str, Any]) -> tuple[str | None, str]:
    name, kind = text_of(record.get("authid"), _MAX_TEXT), text_of(record.get("authtype"), _MAX_NAME)
    if name is None and kind is None:
        return None, "anonymous"
    return name, ACTOR_TYPES.get(kind or "", "unknown")


def _outcome(record: Mapping[str, Any]) -> Outcome:
    given = record.get("outcome")
    return next((known for known in get_args(Outcome) if known == given), "success")


def _severity(record: Mapping[str, Any]) -> Severity:
    try:
        return normal_severity(text_of(record.get("severitytext"), _MAX_NAME) or "info")
    except ValueError:
        return "info"


def _trace(record: Mapping[str, Any]) -> str | None:
    parent, plain = record.get("traceparent"), record.get("traceid")
    trace = parse_traceparent(parent) if isinstance(parent, str) else None
    if trace is not None:
        return trace.trace_id
    return plain if isinstance(plain, str) and _TRACE.match(plain) else None
