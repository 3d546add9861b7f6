"""Ready-made routes: the audit trail, and what operators ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from tenaudit.adapters.flask.portal import answer_of
from tenaudit.adapters.flask.wire import response_of
from tenaudit.gate import AuditApi, Gate, health_reply, metrics_reply, public, require
from tenaudit.security import current_context

if TYPE_CHECKING:
    from tenaudit.audit import Redactor, Store

__all__ = ["audit_routes", "internal_routes"]


def audit_routes(gate: Gate, store: Store, *, redactor: Redactor | None = None) -> Blueprint:
    """Return the routes of the audit trail: `GET /audit/events` and `GET /audit/events/{event_id}`."""
    api = AuditApi(gate, store, redactor=redactor)
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
