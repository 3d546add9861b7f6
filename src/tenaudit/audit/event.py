"""The audit record as it crosses every boundary: validated, frozen, one wire form."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from tenaudit.audit.payload import json_copy

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ACTION_PATTERN",
    "NO_NUL",
    "SEVERITIES",
    "AuditEvent",
    "Outcome",
    "Severity",
    "normal_severity",
    "unchecked_event",
    "wire_time",
]

Outcome = Literal["success", "denied", "failure"]
Severity = Literal["info", "warn", "error", "security"]

# Rank order: `min_severity=warn` takes everything from here on.
SEVERITIES: tuple[Severity, ...] = ("info", "warn", "error", "security")
ACTION_PATTERN = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*\Z")
_SEVERITY_ALIASES: Mapping[str, Severity] = MappingProxyType(
    {
        **{name: name for name in SEVERITIES},
        "debug": "info",
        "notice": "info",
        "information": "info",
        "warning": "warn",
        "err": "error",
        "fatal": "error",
        "critical": "error",
    }
)
NO_NUL = r"^[^\x00]*$"
_MAX_ACTION = 128
_ZERO_OFFSET = timedelta(0)
_ZERO = "+00:00"
# Tenants are few and come again with every event; the text of a UUID is made in Python.
_tenant_text = lru_cache(4096, typed=True)(str)


def normal_severity(value: str) -> Severity:
    """Return the severity that *value* means, in any case and by its usual aliases.

    Raises:
        ValueError: it means none.
    """
    found = _SEVERITY_ALIASES.get(value) or _SEVERITY_ALIASES.get(value.strip().lower())
    if found is None:
        raise ValueError(f"severity must be one of {', '.join(SEVERITIES)}")
    return found


def wire_time(moment: datetime) -> str:
    """Return RFC 3339 text in UTC with exactly six digits of fraction: text order is time order."""
    # Not strftime: its %Y pads years below 1000 on some platforms only, and then text order is not time order.
    text = moment.isoformat(timespec="microseconds")
    if not text.endswith(_ZERO):
        text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text[: -len(_ZERO)] + "Z"


def _severity(value: object) -> object:
    return normal_severity(value) if isinstance(value, str) else value


_Text = Annotated[str, Field(max_length=1024, pattern=NO_NUL)]
_Name = Annotated[str, Field(max_length=128, pattern=NO_NUL)]


class AuditEvent(BaseModel):
    """One audit record.

    Attributes:
        event_id: UUIDv7; with the tenant it is the identity that makes a second arrival harmless.
        occurred_at: UTC with microseconds, fixed once when the event is emitted.
        action: lower-case dotted name, `noun.verb` by habit.
        payload: JSON object, copied and checked for what no reader could take; its size is limited at emit.
        redactions: tags that name what was masked or removed.
        producer_id: which producer made it; with `seq` a gap downstream shows a loss.

    Example:
        >>> event = AuditEvent(
        ...     event_id="0190a5b2-7c00-7000-8000-000000000001",
        ...     tenant_id="7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f",
        ...     occurred_at="2024-07-12T00:00:00Z", action="payment.voided", severity="WARNING", service="payment")
        >>> event.severity, event.record()["occurred_at"]
        ('warn', '2024-07-12T00:00:00.000000Z')
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    event_id: UUID
    tenant_id: UUID
    occurred_at: datetime
    actor_id: _Text | None = None
    actor_type: _Name = "anonymous"
    action: Annotated[str, Field(max_length=_MAX_ACTION)]
    resource_type: _Name | None = None
    resource_id: _Text | None = None
    outcome: Outcome = "success"
    severity: Annotated[Severity, BeforeValidator(_severity)] = "info"
    service: Annotated[str, Field(min_length=1, max_length=128, pattern=NO_NUL)]
    trace_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    schema_version: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1
    payload: dict[str, Any] = Field(default_factory=dict)
    redactions: tuple[_Text, ...] = ()
    producer_id: _Name | None = None
    seq: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None

    @field_validator("event_id")
    @classmethod
    def _is_time_ordered(cls, value: UUID) -> UUID:
        # Variant and version as bits: the properties of UUID cost as much as making one.
        if value.int >> 76 & 0xF != 7 or value.int >> 62 & 0x3 != 2:
            raise ValueError("must be a UUIDv7 (RFC 9562 section 5.7)")
        return value

    @field_validator("action")
    @classmethod
    def _is_dotted(cls, value: str) -> str:
        if ACTION_PATTERN.match(value) is None:
            raise ValueError("must be a lower-case dotted name such as payment.voided")
        return value

    @field_validator("occurred_at")
    @classmethod
    def _is_utc(cls, value: datetime) -> datetime:
        offset = value.utcoffset()
        if offset is None:
            raise ValueError("must carry a time zone")
        try:
            return value if offset == _ZERO_OFFSET else value.astimezone(UTC)
        except OverflowError:
            raise ValueError("must be a time that UTC can tell, in the years 1 to 9999") from None

    @field_validator("payload")
    @classmethod
    def _is_json(cls, value: dict[str, Any]) -> dict[str, Any]:
        # A copy, so that a frozen event does not change with the dictionary it was made from.
        return json_copy(value)

    def record(self) -> dict[str, Any]:
        """Return the wire form: JSON values only, every field present, in the order of the table."""
        return {
            "event_id": str(self.event_id),
            "tenant_id": _tenant_text(self.tenant_id),
            "occurred_at": wire_time(self.occurred_at),
            "actor_id": self.actor_id,
            "actor_type": self.actor_type,
            "action": self.action,
            "resource_type": self.resource_type,
            "resource_id": self.resource_id,
            "outcome": self.outcome,
            "severity": self.severity,
            "service": self.service,
            "trace_id": self.trace_id,
            "schema_version": self.schema_version,
            "payload": self.payload,
            "redactions": list(self.redactions),
            "producer_id": self.producer_id,
            "seq": self.seq,
        }


# One for all events: it is copied with an event, and nothing that is frozen adds to it.
_ALL_GIVEN = set(AuditEvent.model_fields)
_set = object.__setattr__


def unchecked_event(fields: dict[str, Any], given: set[str] = _ALL_GIVEN) -> AuditEvent:
    """Return the event that has *fields*, all of them, in the order of the table and checked before.

    A fifth of `model_construct`, which goes through all fields to see which are there.
    """
    event = AuditEvent.__new__(AuditEvent)
    _set(event, "__dict__", fields)
    _set(event, "__pydantic_fields_set__", given)
    _set(event, "__pydantic_extra__", None)
    _set(event, "__pydantic_private__", None)
    return event
