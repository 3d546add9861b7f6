r"""Elastic Common Schema 8.17: an event as a document for Elasticsearch and what reads its indexes.

Rules of this file: pure; nothing of the event is lost, because what ECS has no field for is under `tenaudit`.

=========================  ==========================================================================
field                      from
=========================  ==========================================================================
`@timestamp`               `occurred_at`
`ecs.version`              `ECS_VERSION`
`event.kind`               `event`
`event.id`                 `event_id`
`event.action`             `action`
`event.category`, `.type`  the verb of the action, by `CATEGORIES` and `TYPES`
`event.outcome`            `outcome`, by `OUTCOMES`: a denial is a `failure` and has the type `denied`
`event.severity`           `severity`, by `SEVERITY_NUMBERS`
`event.sequence`           `seq`
`event.module`             `tenaudit`; `event.dataset` is `tenaudit.audit`
`user.id`                  `actor_id`
`organization.id`          `tenant_id`
`service.name`             `service`
`source.ip`                the payload, see `tenaudit.audit.mappers.source_ip`
`trace.id`                 `trace_id`
`tenaudit.*`               `actor_type`, `resource.type`, `resource.id`, `outcome`, `severity`,
                           `schema_version`, `payload`, `redactions`, `producer_id`
=========================  ==========================================================================

A field without a value is left out. `tenaudit.payload` holds whatever the events do: map it as `flattened`, so that
it cannot grow the index's mapping.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from tenaudit.audit.event import wire_time
from tenaudit.audit.mappers.source_ip import source_ip
from tenaudit.audit.mappers.verbs import is_about_identity, verb_of, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.mappers.verbs import Verb

__all__ = ["CATEGORIES", "ECS_VERSION", "OUTCOMES", "SEVERITY_NUMBERS", "TYPES", "to_ecs"]

ECS_VERSION: Final = "8.17.0"
"""The version of the schema that the documents keep."""

OUTCOMES: Mapping[str, str] = MappingProxyType({"success": "success", "denied": "failure", "failure": "failure"})
"""`event.outcome` of each outcome."""

SEVERITY_NUMBERS: Mapping[str, int] = MappingProxyType({"info": 1, "warn": 2, "error": 3, "security": 4})
"""`event.severity` of each severity: higher is more severe; ECS leaves the scale to the source."""

CATEGORIES: Mapping[Verb, str] = MappingProxyType({"login": "authentication", "logout": "authentication"})
"""`event.category` of a verb; of the others `iam` when the action is about identities, else `api`."""

TYPES: Mapping[Verb, str] = MappingProxyType(
    {
        "create": "creation",
        "read": "access",
        "update": "change",
        "delete": "deletion",
        "move": "change",
        "enable": "change",
        "disable": "change",
        "suspend": "change",
        "resume": "change",
        "login": "start",
        "logout": "end",
        "other": "info",
    }
)
"""`event.type` of each verb."""

# What `event.category` iam may be about, besides everything else, which is `admin`.
_IDENTITIES: Mapping[str, str] = MappingProxyType(
    {"user": "user", "users": "user", "group": "group", "groups": "group"}
)


def to_ecs(event: AuditEvent) -> dict[str, Any]:
    """Return the event as an ECS document.

    Example:
        >>> from tenaudit.audit import AuditEvent
        >>> made = to_ecs(AuditEvent(
        ...     event_id="0190a5b2-7c00-7000-8000-000000000001",
        ...     tenant_id="7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f", occurred_at="2024-07-12T00:00:00Z",
        ...     action="user.created", service="accounts", outcome="denied"))
        >>> made["event"]["category"], made["event"]["type"], made["event"]["outcome"]
        (['iam'], ['creation', 'user'], 'failure')
    """
    category, types = _categories(event)
    return _filled(
        {
            "@timestamp": wire_time(event.occurred_at),
            "ecs": {"version": ECS_VERSION},
            "event": {
                "kind": "event",
                "id": str(event.event_id),
                "action": event.action,
                "category": [category],
                "type": types,
                "outcome": OUTCOMES[event.outcome],
                "severity": SEVERITY_NUMBERS[event.severity],
                "sequence": event.seq,
                "module": "tenaudit",
                "dataset": "tenaudit.audit",
            },
            "user": {"id": event.actor_id},
            "organization": {"id": str(event.tenant_id)},
            "service": {"name": event.service},
            "source": {"ip": source_ip(event.payload)},
            "trace": {"id": event.trace_id},
            "tenaudit": {
                "actor_type": event.actor_type,
                "resource": _filled({"type": event.resource_type, "id": event.resource_id}) or None,
                "outcome": event.outcome,
                "severity": event.severity,
                "schema_version": event.schema_version,
                "payload": event.payload,
                "redactions": list(event.redactions),
                "producer_id": event.producer_id,
            },
        }
    )


def _categories(event: AuditEvent) -> tuple[str, list[str]]:
    verb = verb_of(event.action)
    category = CATEGORIES.get(verb) or ("iam" if is_about_identity(event) else "api")
    types = [TYPES[verb]]
    if category == "api" and event.outcome == "denied":
        types.append("denied")
    if category == "iam":
        # Reading is no type that ECS expects of iam.
        types = ["info" if verb == "read" else TYPES[verb]]
        about = {kind for word in words_of(event.action) if (kind := _IDENTITIES.get(word)) is not None}
        types += sorted(about) or ["admin"]
    return category, types


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value, and of objects one level down those that have one."""
    kept = {
        name: {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value
        for name, value in fields.items()
    }
    return {name: value for name, value in kept.items() if value not in (None, {})}
