"""Ready-made routes: the audit trail, and what operators ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from tenaudit.adapters.flask.portal import answer_of
from tenaudit.adapters.flask.stream import streamed_response
from tenaudit.adapters.flask.wire import response_of
from tenaudit.gate import AuditApi, Gate, authenticated, health_reply, metrics_reply, public, require
from tenaudit.security import current_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.audit import EventRedactor, Store
    from tenaudit.gate import ExportSettings, TailSettings

__all__ = ["audit_routes", "internal_routes"]


def audit_routes(
    gate: Gate,
    store: Store,
    *,
    redactor: EventRedactor | None = None,
    cursor_keys: Sequence[bytes] = (),
    tail: TailSettings | None = None,
    exports: ExportSettings | None = None,
) -> Blueprint:
    """Return the routes of the audit trail.

    They are `GET /audit/events`, `/audit/events/{event_id}` and its `/proof`, `/audit/checkpoint`,
    `/audit/consistency`, `/audit/export`, `/audit/tail`, `/audit/stats` and their description, `/audit/openapi.json`.

    Args:
        gate: whose policy decides and whose producer records the reads.
        store: where events are.
        redactor: what is hidden from readers; None hides nothing.
        cursor_keys: secrets that cursors are signed with, the same in every worker; see `tenaudit.gate.AuditApi`.
        tail: bounds of `GET /audit/tail`.
        exports: bounds of `GET /audit/export`.
    """
    api = AuditApi(gate, store, redactor=redactor, cursor_keys=cursor_keys, tail=tail, exports=exports)
    routes = Blueprint("tenaudit_audit", __name__)

    @routes.get("/audit/events")
    @require("audit_view")
    def list_events() -> Response:
        parameters = list(request.args.items(multi=True))
        return response_of(answer_of(api.list_events(current_context(), parameters), api.deadline))

    @routes.get("/audit/events/<event_id>")
    @require("audit_view")
    def one_event(event_id: str) -> Response:
        return response_of(answer_of(api.one_event(current_context(), event_id), api.deadline))

    @routes.get("/audit/events/<event_id>/proof")
    @require("audit_view")
    def event_proof(event_id: str) -> Response:
        parameters = list(request.args.items(multi=True))
        return response_of(answer_of(api.event_proof(current_context(), event_id, parameters), api.deadline))

    @routes.get("/audit/checkpoint")
    @require("audit_view")
    def checkpoint() -> Response:
        parameters = list(request.args.items(multi=True))
        return response_of(answer_of(api.checkpoint(current_context(), parameters), api.deadline))

    @routes.get("/audit/consistency")
    @require("audit_view")
    def consistency() -> Response:
        parameters = list(request.args.items(multi=True))
        return response_of(answer_of(api.consistency(current_context(), parameters), api.deadline))

    @routes.get("/audit/export")
    @require("audit_view")
    def export() -> Response:
        parameters = list(request.args.items(multi=True))
        return streamed_response(answer_of(api.export(current_context(), parameters), api.deadline))

    @routes.get("/audit/tail")
    @require("audit_view")
    def follow() -> Response:
        parameters = list(request.args.items(multi=True))
        last = request.headers.get("Last-Event-ID")
        return streamed_response(answer_of(api.tail(current_context(), parameters, last), api.deadline))

    @routes.get("/audit/stats")
    @require("audit_view")
    def stats() -> Response:
        parameters = list(request.args.items(multi=True))
        return response_of(answer_of(api.stats(current_context(), parameters), api.deadline))

    @routes.get("/audit/openapi.json")
    @authenticated()
    def document() -> Response:
        return response_of(api.document())

    return routes


def internal_routes(gate: Gate) -> Blueprint:
    """Return the operators' routes: `GET /internal/metrics` and `GET /internal/health`, both public."""
    routes = Blueprint("tenaudit_internal", __name__)

    @routes.get("/internal/metrics")
    @public()
    def metrics() -> Response:
        return response_of(metrics_reply(gate, request.headers.get("Accept", "")))

    @routes.get("/internal/health")
    @public()
    def health() -> Response:
        return response_of(health_reply(gate))

    return routes
