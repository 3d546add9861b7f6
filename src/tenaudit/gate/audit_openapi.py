"""The OpenAPI 3.1 document of the audit API, made of the very tables that its answers are made with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenaudit.audit import AuditEvent
from tenaudit.audit.event import SEVERITIES
from tenaudit.audit.export import EXPORT_FORMATS
from tenaudit.audit.parameters import EXPORT_PARAMETERS, FILTERS, PARAMETERS, TAIL_PARAMETERS
from tenaudit.audit.query import MAX_LIMIT
from tenaudit.gate.audit_openapi_proofs import CHECKPOINT, CONSISTENCY, PROOF, SIZES
from tenaudit.gate.described import gate_codes, identity_schemes
from tenaudit.gate.message import RouteRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tenaudit.gate.gate import Gate

__all__ = ["audit_document"]

_TEXT: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 1024}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
_FLAG: dict[str, Any] = {"type": "boolean", "default": False}
_CURSOR: dict[str, Any] = {"type": ["string", "null"], "description": "Null at the true end."}
_COUNTS: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}
_EVENT = {"$ref": "#/components/schemas/AuditEvent"}
_VIEW = RouteRule("audit_view")

_PARAMETERS: dict[str, tuple[dict[str, Any], str]] = {
    "actor": (_TEXT, "Id of the actor."),
    "action": (_TEXT, "A name, or a prefix such as `payment.*`."),
    "resource_type": (_TEXT, "Type of the resource."),
    "resource_id": (_TEXT, "Id of the resource."),
    "severity": (_TEXT, f"{', '.join(SEVERITIES)}, in any case and by usual aliases."),
    "min_severity": (_TEXT, "This severity or a graver one."),
    "outcome": ({"type": "string", "enum": ["success", "denied", "failure"]}, "How it ended."),
    "trace_id": ({"type": "string", "pattern": "^[0-9a-f]{32}$"}, "The trace."),
    "service": (_TEXT, "Name of the service."),
    "from": (_TIME, "Earliest `occurred_at`, inclusive; UTC when it names no zone."),
    "to": (_TIME, "Latest `occurred_at`, exclusive."),
    "q": (_TEXT, "Text that the payload holds, without regard to ASCII case."),
    "limit": ({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50}, "Events on a page."),
    "cursor": ({"type": "string", "minLength": 1}, "`next_cursor` or `prev_cursor` of an earlier answer."),
    "order": ({"type": "string", "enum": ["desc", "asc"], "default": "desc"}, "Newest or oldest first."),
    "include_redacted": (_FLAG, "Whether `redactions` names what was hidden from this reader."),
    "format": ({"type": "string", "enum": list(EXPORT_FORMATS), "default": "ndjson"}, "Of the file."),
}
_EVENT_ID = {
    "name": "event_id",
    "in": "path",
    "required": True,
    "description": "Id of the event.",
    "schema": {"type": "string", "format": "uuid"},
}
_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The last `id` that was received: the answer goes on behind it.",
    "schema": {"type": "string"},
}


def audit_document(gate: Gate) -> dict[str, Any]:
    """Return the document of the audit API behind *gate*.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.gate import Gate
        >>> sorted(audit_document(Gate("audit", registry=CollectorRegistry()))["paths"])[0]
        '/audit/checkpoint'
    """
    describe = _Describer(gate)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Audit trail of {gate.service}", "version": "1"},
        "paths": {path: {"get": operation} for path, operation in _operations(describe)},
        "components": {
            **describe.components(),
            "securitySchemes": identity_schemes(gate),
        },
    }


def _operations(describe: _Describer) -> Iterator[tuple[str, dict[str, Any]]]:
    json, page = "application/json", ("invalid_parameter", "invalid_cursor", "unavailable")
    yield (
        "/audit/events",
        describe("listAuditEvents", "Events, page by page.", {json: _PAGE}, _query(PARAMETERS), page),
    )
    yield (
        "/audit/events/{event_id}",
        describe("getAuditEvent", "One event.", {json: _EVENT}, [_EVENT_ID], ("not_found", "unavailable")),
    )
    proof = ("invalid_parameter", "not_found", "conflict", "unavailable")
    yield (
        "/audit/events/{event_id}/proof",
        describe(
            "proveAuditEvent",
            "That an event is in the log (RFC 9162 section 2.1.3).",
            {json: PROOF},
            [_EVENT_ID, SIZES["size"]],
            proof,
        ),
    )
    yield (
        "/audit/checkpoint",
        describe("getAuditCheckpoint", "The newest checkpoint of the log.", {json: CHECKPOINT}, [], proof),
    )
    yield (
        "/audit/consistency",
        describe(
            "proveAuditGrowth",
            "That the log only grew (RFC 9162 section 2.1.4).",
            {json: CONSISTENCY},
            [SIZES["first"], SIZES["second"]],
            proof,
        ),
    )
    files = {kind.content_type.partition(";")[0]: {"type": "string"} for kind in EXPORT_FORMATS.values()}
    yield (
        "/audit/export",
        describe(
            "exportAuditEvents",
            "Every event that fits, as a file whose last line says that it is whole.",
            files,
            _query(EXPORT_PARAMETERS),
            ("invalid_parameter", "unavailable"),
        ),
    )
    yield (
        "/audit/tail",
        describe(
            "followAuditEvents",
            "Events as they arrive, as server-sent events.",
            {"text/event-stream": {"type": "string"}},
            [*_query(TAIL_PARAMETERS), _LAST_EVENT_ID],
            (*page, "not_found"),
        ),
    )
    yield (
        "/audit/stats",
        describe(
            "countAuditEvents",
            "How many events fit, by action, outcome, severity and day.",
            {json: _STATS},
            _query(FILTERS),
            ("invalid_parameter", "not_found", "unavailable"),
        ),
    )
    yield (
        "/audit/openapi.json",
        describe("describeAuditApi", "This document.", {json: {"type": "object"}}, [], (), rule=RouteRule()),
    )


_PAGE: dict[str, Any] = {
    "type": "object",
    "required": ["events", "next_cursor", "prev_cursor"],
    "properties": {
        "events": {"type": "array", "items": _EVENT},
        "next_cursor": _CURSOR,
        "prev_cursor": _CURSOR,
    },
}
_STATS: dict[str, Any] = {
    "type": "object",
    "required": ["events", "complete", "oldest", "actions", "outcomes", "severities", "days"],
    "properties": {
        "events": {"type": "integer", "minimum": 0},
        "complete": {"type": "boolean", "description": "Whether these are all; else they are the newest."},
        "oldest": {"type": ["string", "null"], "format": "date-time"},
        **dict.fromkeys(("actions", "outcomes", "severities", "days"), _COUNTS),
    },
}


def _query(names: Iterable[str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "description": about, "schema": schema}
        for name, (schema, about) in ((name, _PARAMETERS[name]) for name in names)
    ]


class _Describer:
    """Describes operations, and gathers the codes that they name."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._codes: dict[str, None] = {}

    def __call__(
        self,
        name: str,
        summary: str,
        content: dict[str, dict[str, Any]],
        parameters: list[dict[str, Any]],
        codes: tuple[str, ...],
        *,
        rule: RouteRule = _VIEW,
    ) -> dict[str, Any]:
        codes = (*gate_codes(self._gate, rule, has_parameters=False), *codes)
        self._codes |= dict.fromkeys(codes)
        answer = {"description": summary, "content": {kind: {"schema": schema} for kind, schema in content.items()}}
        described = {
            "operationId": name,
            "summary": summary,
            "parameters": parameters,
            "security": [{scheme: [] for scheme in identity_schemes(self._gate)}],
            "responses": {"200": answer, **self._gate.errors.openapi_responses(*codes)},
        }
        return described if rule.capability is None else {**described, "x-tenaudit-capability": rule.capability}

    def components(self) -> dict[str, dict[str, Any]]:
        """Return what the operations refer to."""
        components = self._gate.errors.openapi_components(*self._codes)
        components["schemas"]["AuditEvent"] = AuditEvent.model_json_schema(mode="serialization")
        return components
