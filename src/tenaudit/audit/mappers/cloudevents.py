r"""CloudEvents 1.0.2 in JSON: an event for everything that routes and stores CloudEvents.

Rules of this file: pure; nothing of the event is lost, because `data` is its whole wire form.

==================  =================================================================================
attribute           from
==================  =================================================================================
`id`                `event_id`
`source`            `/tenants/` + `tenant_id` + `/services/` + `service`, percent-encoded: with `id` it
                    is unique, as `event_id` is unique in a tenant
`type`              a prefix, `tenaudit.` unless told, and `action`
`subject`           `resource_type` + `/` + `resource_id`, or the one that is there
`time`              `occurred_at`
`datacontenttype`   `application/json`
`dataschema`        `DATA_SCHEMA`, which says that `data` is a wire form
`tenantid`          `tenant_id`; also `partitionkey`, so that a tenant's events stay in order
`outcome`           `outcome`
`authtype`          `actor_type`, by `AUTH_TYPES`
`authid`            `actor_id`
`severitytext`      `severity` in capitals
`severitynumber`    the same by `SEVERITY_NUMBERS`, on the scale of OpenTelemetry
`traceid`           `trace_id`: an event knows no span, and `traceparent` must have one
==================  =================================================================================

Sources: CloudEvents 1.0.2 section 3, "JSON Event Format" section 3, and the documented extensions Auth Context,
Severity and Partitioning. What is unknown is left out. Characters that an attribute must not hold (section 3.1.2)
become U+FFFD there; `data` has them as they are.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from tenaudit.audit.event import wire_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenaudit.audit.event import AuditEvent

__all__ = ["AUTH_TYPES", "DATA_SCHEMA", "SEVERITY_NUMBERS", "SPEC_VERSION", "to_cloudevents"]

SPEC_VERSION: Final = "1.0"
"""What `specversion` says for every 1.0.x."""

DATA_SCHEMA: Final = "urn:tenaudit:audit-event:1"
"""`dataschema` of events whose `data` is a wire form; importing them gives the same events."""

AUTH_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "user": "app_user",
        "service": "service_account",
        "api_key": "api_key",
        "system": "system",
        "anonymous": "unauthenticated",
    }
)
"""`authtype` of each type of actor; every other is `unknown`."""

SEVERITY_NUMBERS: Mapping[str, int] = MappingProxyType({"info": 9, "warn": 13, "error": 17, "security": 18})
"""`severitynumber` of each severity: INFO, WARN, ERROR and ERROR2 of OpenTelemetry's logs data model."""

# Section 3.1.2 of the specification, type String: control characters, surrogates and noncharacters.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)


def to_cloudevents(event: AuditEvent, *, type_prefix: str = "tenaudit.") -> dict[str, Any]:
    """Return the event as a JSON object of the structured mode, `application/cloudevents+json`.

    Args:
        event: the event.
        type_prefix: what `type` begins with; the specification advises a reverse domain name such as `com.example.`.

    Example:
        >>> from tenaudit.audit import AuditEvent
        >>> event = AuditEvent(
        ...     event_id="0190a5b2-7c00-7000-8000-000000000001",
        ...     tenant_id="7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f", occurred_at="2024-07-12T00:00:00Z",
        ...     action="payment.voided", service="payment", resource_type="payment", resource_id="p-1")
        >>> made = to_cloudevents(event, type_prefix="com.example.")
        >>> made["type"], made["subject"], made["data"]["action"]
        ('com.example.payment.voided', 'payment/p-1', 'payment.voided')
    """
    tenant = str(event.tenant_id)
    attributes = {
        "specversion": SPEC_VERSION,
        "id": str(event.event_id),
        "source": f"/tenants/{tenant}/services/{quote(event.service, safe='')}",
        "type": _attribute(f"{type_prefix}{event.action}"),
        "subject": _attribute("/".join(part for part in (event.resource_type, event.resource_id) if part)),
        "time": wire_time(event.occurred_at),
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMA,
        "tenantid": tenant,
        "partitionkey": tenant,
        "outcome": event.outcome,
        "authtype": AUTH_TYPES.get(event.actor_type, "unknown"),
        "authid": _attribute(event.actor_id or ""),
        "severitytext": event.severity.upper(),
        "severitynumber": SEVERITY_NUMBERS[event.severity],
        "traceid": event.trace_id,
    }
    return {**{name: value for name, value in attributes.items() if value}, "data": event.record()}


def _attribute(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
