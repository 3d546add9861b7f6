r"""Kubernetes audit: one `audit.k8s.io/v1` event of a finished request as one event.

Rules of this file: pure; the same record gives the same event, and what cannot be one raises `Refused`. A request is
told in up to four stages; the last, `ResponseComplete` or `Panic`, tells all of it, and the others are passed over.

=============  ======================================================================================
field          from
=============  ======================================================================================
`event_id`     UUIDv7 of the milliseconds of the time and SHA-256 of `kubernetes:` + `auditID` + stage
`tenant_id`    the caller's: no record names its cluster
`occurred_at`  `requestReceivedTimestamp`, else `stageTimestamp`
`action`       resource, subresource and `verb`: `pods.create`, `pods.exec.create`; without a resource
               `url.` and the HTTP method
`service`      `kubernetes`
`actor_*`      `user`, see `ACTOR_PREFIXES`; whom it impersonates is in the payload
`resource_*`   `objectRef`: group, resource and subresource; namespace and name. Else the path
`outcome`      401 and 403 are `denied`, other codes from 400 on and panics a `failure`, else `success`
`severity`     `security` for `denied`, `error` for panics and codes from 500 on, `warn` for another
               `failure`, else `info`
`payload`      the whole record, see `tenaudit.audit.importers.storable`
=============  ======================================================================================

Source: "kube-apiserver Audit Configuration (v1)" of the Kubernetes reference.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from tenaudit._kernel.ids import uuid7_from_source
from tenaudit.audit.importers.fields import dotted_action, event_of, object_of, required_text, text_of
from tenaudit.audit.importers.importer import BrokenFile, Found, Passed, Refused
from tenaudit.audit.importers.json_documents import documents, lines
from tenaudit.audit.importers.json_records import records_under
from tenaudit.audit.importers.moment import moment_of, unix_ms
from tenaudit.audit.importers.storable import storable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from tenaudit.audit.event import AuditEvent, Outcome, Severity

__all__ = ["ACTOR_PREFIXES", "KubernetesImporter"]

ACTOR_PREFIXES: Mapping[str, str] = MappingProxyType(
    {
        "system:anonymous": "anonymous",
        "system:serviceaccount:": "service",
        "system:node:": "service",
        "system:": "system",
    }
)
"""What acts under a user name that begins so; the first that fits. Every other name is a `user`."""

_VERSION: Final = "audit.k8s.io/v1"
_FINAL = frozenset({"ResponseComplete", "Panic"})
_EARLIER: Mapping[str, str] = MappingProxyType(
    {"RequestReceived": "request_received", "ResponseStarted": "response_started"}
)
_MAX_ID = 1024
_MAX_TYPE = 128


class KubernetesImporter:
    """Reads `Event` and `EventList` objects: one a line, as the log backend writes them, or as JSON.

    Example:
        >>> from uuid import UUID
        >>> event = KubernetesImporter().event({
        ...     "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "a1",
        ...     "stage": "ResponseComplete", "requestURI": "/api/v1/namespaces/shop/pods/web", "verb": "delete",
        ...     "user": {"username": "alice"}, "responseStatus": {"code": 403},
        ...     "objectRef": {"resource": "pods", "namespace": "shop", "name": "web"},
        ...     "requestReceivedTimestamp": "2024-07-12T00:00:00.000000Z"}, UUID(int=7))
        >>> event.action, event.resource_id, event.outcome
        ('pods.delete', 'shop/web', 'denied')
    """

    __slots__ = ()

    name = "kubernetes"
    about = "audit.k8s.io/v1 events, one a line or as JSON"
    needs_tenant = True

    def records(self, text: str) -> Iterator[Found]:
        """Yield the events of a file, those of an `EventList` one by one.

        Raises:
            BrokenFile: `invalid_json` or `json_too_deep`.
        """
        try:
            # A list over a whole file can be large, so its items are read one at a time.
            return map(Found, records_under(text, "items"))
        except BrokenFile:
            return _flat(documents(text))

    def lines(self, text: str, first: int) -> Iterator[Found]:
        """Yield the events of whole lines, the first of which has the number *first*."""
        return _flat(lines(text, first))

    def event(self, record: Any, tenant_id: UUID | None = None) -> AuditEvent:
        """Return the event of a record.

        Args:
            record: a record as `json` reads it.
            tenant_id: whose cluster it is.

        Raises:
            Refused: `not_an_object`, `not_an_audit_event`, `missing_field`, `missing_tenant`, `invalid_time`,
                `invalid_action`, `unknown_stage`, `invalid_event`, or a reason of `storable`.
            Passed: `request_received` or `response_started`.
        """
        stage = _stage(object_of(record))
        payload, tags = storable(record)
        if tenant_id is None:
            raise Refused("missing_tenant", "no record of kubernetes names its cluster; give the tenant")
        source = f"kubernetes:{required_text(payload, 'auditID')}:{stage}"
        received = payload.get("requestReceivedTimestamp")
        moment = (
            moment_of(received, "requestReceivedTimestamp")
            if received is not None
            else moment_of(payload.get("stageTimestamp"), "stageTimestamp")
        )
        reference = _object(payload, "objectRef")
        actor_id, actor_type = _actor(payload)
        resource_type, resource_id = _resource(reference, payload)
        outcome, severity = _result(payload, stage)
        return event_of(
            event_id=uuid7_from_source(unix_ms(moment), source),
            tenant_id=tenant_id,
            occurred_at=moment,
            actor_id=actor_id,
            actor_type=actor_type,
            action=_action(reference, required_text(payload, "verb")),
            resource_type=resource_type,
            resource_id=resource_id,
            outcome=outcome,
            severity=severity,
            service="kubernetes",
            payload=payload,
            redactions=tags,
        )


def _flat(found: Iterator[Found]) -> Iterator[Found]:
    for each in found:
        items = each.value.get("items") if isinstance(each.value, dict) else None
        if isinstance(items, list):
            for item in items:
                yield Found(item, each.line)
        else:
            yield each


def _stage(record: Mapping[str, Any]) -> str:
    """Return the final stage that a record tells; the items of a list carry no kind and version of their own."""
    kind, version = record.get("kind", "Event"), record.get("apiVersion", _VERSION)
    if kind != "Event" or version != _VERSION:
        raise Refused("not_an_audit_event", f"a record is an Event of {_VERSION}")
    stage = required_text(record, "stage")
    if stage in _EARLIER:
        raise Passed(_EARLIER[stage])
    if stage not in _FINAL:
        raise Refused("unknown_stage", "stage is none of audit.k8s.io/v1")
    return stage


def _object(record: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = record.get(field)
    return value if isinstance(value, dict) else {}


def _actor(record: Mapping[str, Any]) -> tuple[str | None, str]:
    name = text_of(_object(record, "user").get("username"), _MAX_ID)
    if name is None:
        return None, "anonymous"
    kind = next((kind for prefix, kind in ACTOR_PREFIXES.items() if name.startswith(prefix)), "user")
    return (None if kind == "anonymous" else name), kind


def _action(reference: Mapping[str, Any], verb: str) -> str:
    resource = text_of(reference.get("resource"), _MAX_TYPE)
    subresource = text_of(reference.get("subresource"), _MAX_TYPE)
    return dotted_action([resource or "url", subresource or "", verb])


def _resource(reference: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str | None, str | None]:
    names = [text_of(reference.get(field), _MAX_TYPE) for field in ("apiGroup", "resource", "subresource")]
    if names[1] is None:
        path = record.get("requestURI")
        place = text_of(path.partition("?")[0], _MAX_ID) if isinstance(path, str) else None
        return (None if place is None else "url"), place
    name = text_of(reference.get("name"), _MAX_ID)
    place = "/".join(part for part in (text_of(reference.get("namespace"), _MAX_ID), name) if part)
    return text_of("/".join(part for part in names if part), _MAX_TYPE), text_of(place, _MAX_ID) if name else None


def _result(record: Mapping[str, Any], stage: str) -> tuple[Outcome, Severity]:
    code = _object(record, "responseStatus").get("code")
    status = code if type(code) is int else 0
    if status in {401, 403}:
        return "denied", "security"
    if stage == "Panic" or status >= 500:
        return "failure", "error"
    return ("failure", "warn") if status >= 400 else ("success", "info")
