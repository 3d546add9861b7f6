"""The one form of an event in a message: JSON bytes with headers that tell the format and the trace.

Rules of this file: pure; both ends of a stream use it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import to_json

from tenaudit._kernel.error import TenauditError
from tenaudit.audit.consumer.plain_event import plain_event
from tenaudit.audit.event import AuditEvent, wire_time

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_RECORD_BYTES", "WIRE_FORMAT", "BadRecord", "decode_event", "encode_event", "event_headers"]

WIRE_FORMAT = b"application/vnd.tenaudit.event+json; version=1"
MAX_RECORD_BYTES = 2**20
_FORMAT_HEADER = "content-type"
_NO_TRACE = "0" * 32
_FIELDS = AuditEvent.model_fields


class BadRecord(TenauditError):  # noqa: N818 - a fact about the record
    """The record holds no event, and never will.

    Attributes:
        reason: `empty`, `too_large`, `unknown_format`, `not_json` or `invalid_event`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the record holds no event: {reason}")
        self.reason = reason


def encode_event(event: AuditEvent) -> bytes:
    """Return the wire form as UTF-8 JSON.

    Raises:
        ValueError: the event is no JSON (RFC 8259): it has a number without a value, or half a character.
    """
    record: dict[str, Any] = vars(event)
    if len(record) == len(_FIELDS) and type(event.event_id) is UUID and type(event.tenant_id) is UUID:
        # The text of an id is made by the encoder, which costs a third of making it here.
        record = record | {"occurred_at": wire_time(event.occurred_at)}
    else:
        record = event.record()
    data = to_json(record, inf_nan_mode="constants")
    if b"NaN" in data or b"Infinity" in data:
        # Text may say so too; numbers must not.
        json.dumps(event.record(), allow_nan=False)
    return data


def event_headers(event: AuditEvent) -> list[tuple[str, bytes]]:
    """Return the headers: the format, and a `traceparent` when the event has a trace.

    An event knows no span, so the parent id is the last half of its own id, which is never zero (W3C Trace Context
    level 2, section 3.2.2.4); nobody recorded it, so the sampled flag is off.

    Example:
        >>> event = AuditEvent(
        ...     event_id="0190a5b2-7c00-7000-8000-000000000001", tenant_id="7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f",
        ...     occurred_at="2024-07-12T00:00:00Z", action="payment.voided", service="payment", trace_id="a" * 32)
        >>> event_headers(event)[1]
        ('traceparent', b'00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-8000000000000001-00')
    """
    headers = [(_FORMAT_HEADER, WIRE_FORMAT)]
    if event.trace_id is not None and event.trace_id != _NO_TRACE:
        headers.append(("traceparent", f"00-{event.trace_id}-{event.event_id.hex[16:]}-00".encode()))
    return headers


def decode_event(value: bytes | None, headers: Iterable[tuple[str, bytes | None]] = ()) -> AuditEvent:
    """Return the event in a record; one without a format header is taken to be of this version.

    Raises:
        BadRecord: there is none.
    """
    if not value:
        raise BadRecord("empty")
    if len(value) > MAX_RECORD_BYTES:
        raise BadRecord("too_large")
    for name, told in headers:
        if name == _FORMAT_HEADER and told != WIRE_FORMAT:
            raise BadRecord("unknown_format")
    event = plain_event(value)
    if event is not None:
        return event
    try:
        return AuditEvent.model_validate_json(value)
    except ValidationError as error:
        no_json = error.errors(include_url=False, include_context=False, include_input=False)[0]["type"]
        raise BadRecord("not_json" if no_json == "json_invalid" else "invalid_event") from None
