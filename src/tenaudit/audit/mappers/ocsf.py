r"""OCSF 1.3.0: an event as one of three classes of the Open Cybersecurity Schema Framework.

Rules of this file: pure; nothing of the event is lost, because what OCSF has no attribute for is under `unmapped`.

==========================  =========================================================================
attribute                   from
==========================  =========================================================================
`class_uid`, `activity_id`  the verb of the action, see `tenaudit.audit.mappers.ocsf_classes`
`type_uid`                  `class_uid` * 100 + `activity_id`
`time`                      `occurred_at` in milliseconds; `metadata.original_time` has it whole
`severity_id`               `severity`, by `SEVERITIES`
`status_id`                 `outcome`, by `STATUSES`; `status_code` is `outcome`
`metadata`                  `version`, `product`, `uid` (`event_id`), `tenant_uid`, `event_code` (`action`),
                            `log_provider` (`service`), `correlation_uid` (`trace_id`), `sequence` (`seq`)
`actor.user`                `actor_id` and `actor_type`, by `USER_TYPES`
`api`                       `action` and `service`, in API Activity
`resources`                 `resource_type` and `resource_id`, in API Activity
`src_endpoint`              the address that the payload tells, else the service, in API Activity, which
                            requires it; in the others when the payload tells one
`entity`                    `resource_type` and `resource_id`, in Entity Management
`user`, `service`           `actor_id` and `service`, in Authentication
`unmapped`                  `schema_version`, `payload`, `redactions`, `producer_id`, and `resource_type`
                            and `resource_id` where no attribute above takes them
==========================  =========================================================================
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from tenaudit.audit.event import wire_time
from tenaudit.audit.mappers.ocsf_classes import API_ACTIVITY, AUTHENTICATION, ENTITY_MANAGEMENT, OTHER, class_of
from tenaudit.audit.mappers.source_ip import source_ip

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tenaudit.audit.event import AuditEvent

__all__ = ["OCSF_VERSION", "SEVERITIES", "STATUSES", "USER_TYPES", "to_ocsf"]

OCSF_VERSION: Final = "1.3.0"
"""The version of the schema that the events keep."""

SEVERITIES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {"info": (1, "Informational"), "warn": (2, "Low"), "error": (3, "Medium"), "security": (4, "High")}
)
"""`severity_id` and `severity` of each severity."""

STATUSES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {"success": (1, "Success"), "denied": (2, "Failure"), "failure": (2, "Failure")}
)
"""`status_id` and `status` of each outcome."""

USER_TYPES: Mapping[str, tuple[int, str]] = MappingProxyType({"user": (1, "User"), "system": (3, "System")})
"""`type_id` and `type` of a user for each type of actor; every other is 99 with its own name."""

# `type_id` of a managed entity by the last word of the resource type, and the attribute that then describes it.
_ENTITIES: Mapping[str, tuple[int, str, str]] = MappingProxyType(
    {
        "user": (2, "User", "user"),
        "group": (3, "Group", "group"),
        "organization": (4, "Organization", "org"),
        "policy": (5, "Policy", "policy"),
    }
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_ocsf(event: AuditEvent) -> dict[str, Any]:
    """Return the event as an OCSF event.

    Example:
        >>> from tenaudit.audit import AuditEvent
        >>> made = to_ocsf(AuditEvent(
        ...     event_id="0190a5b2-7c00-7000-8000-000000000001",
        ...     tenant_id="7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f", occurred_at="2024-07-12T00:00:00Z",
        ...     action="payment.voided", service="payment", resource_type="payment", resource_id="p-1"))
        >>> made["class_uid"], made["activity_name"], made["type_uid"], made["time"]
        (6003, 'Update', 600303, 1720742400000)
    """
    chosen, activity, activity_name = class_of(event)
    severity_id, severity = SEVERITIES[event.severity]
    status_id, status = STATUSES[event.outcome]
    return {
        "category_uid": chosen.category_uid,
        "category_name": chosen.category_name,
        "class_uid": chosen.uid,
        "class_name": chosen.name,
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": chosen.uid * 100 + activity,
        "type_name": f"{chosen.name}: {'Other' if activity == OTHER else activity_name}",
        "time": (event.occurred_at - _EPOCH) // _MILLISECOND,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "status_code": event.outcome,
        "metadata": _metadata(event),
        "actor": {"user": _user(event)},
        **_SHAPES[chosen.uid](event),
        "unmapped": _unmapped(event, taken=chosen is API_ACTIVITY and bool(event.resource_id)),
    }


def _metadata(event: AuditEvent) -> dict[str, Any]:
    return _known(
        version=OCSF_VERSION,
        product={"name": "tenaudit", "vendor_name": "tenaudit"},
        uid=str(event.event_id),
        tenant_uid=str(event.tenant_id),
        event_code=event.action,
        log_name="audit",
        log_provider=event.service,
        original_time=wire_time(event.occurred_at),
        correlation_uid=event.trace_id,
        sequence=event.seq,
    )


def _user(event: AuditEvent) -> dict[str, Any]:
    type_id, kind = USER_TYPES.get(event.actor_type, (OTHER, event.actor_type))
    # A user has an id or a name (constraint of the object), and nobody is told apart by the name `anonymous`.
    named = {"uid": event.actor_id} if event.actor_id else {"name": event.actor_type or "anonymous"}
    return {**named, "type_id": type_id, "type": kind}


def _endpoint(event: AuditEvent) -> dict[str, Any] | None:
    address = source_ip(event.payload)
    return None if address is None else {"ip": address}


def _api_activity(event: AuditEvent) -> dict[str, Any]:
    resources = [_known(uid=event.resource_id, type=event.resource_type)] if event.resource_id else None
    return _known(
        api={"operation": event.action, "service": {"name": event.service}},
        src_endpoint=_endpoint(event) or {"svc_name": event.service},
        resources=resources,
    )


def _authentication(event: AuditEvent) -> dict[str, Any]:
    return _known(user=_user(event), service={"name": event.service}, src_endpoint=_endpoint(event))


def _entity_management(event: AuditEvent) -> dict[str, Any]:
    kind = event.resource_type or "unknown"
    word = kind.lower().replace(":", " ").replace("/", " ").replace("_", " ").split(" ")[-1]
    entity: dict[str, Any] = {"uid": event.resource_id, "type_id": OTHER, "type": kind}
    if word in _ENTITIES:
        type_id, name, attribute = _ENTITIES[word]
        entity = {"uid": event.resource_id, "type_id": type_id, "type": name, attribute: {"uid": event.resource_id}}
    return _known(entity=entity, src_endpoint=_endpoint(event))


_SHAPES: Mapping[int, Callable[[AuditEvent], dict[str, Any]]] = MappingProxyType(
    {
        API_ACTIVITY.uid: _api_activity,
        AUTHENTICATION.uid: _authentication,
        ENTITY_MANAGEMENT.uid: _entity_management,
    }
)


def _unmapped(event: AuditEvent, *, taken: bool) -> dict[str, Any]:
    return _known(
        schema_version=event.schema_version,
        payload=event.payload,
        redactions=list(event.redactions),
        producer_id=event.producer_id,
        resource_type=None if taken else event.resource_type,
        resource_id=None if taken else event.resource_id,
    )


def _known(**attributes: Any) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}
