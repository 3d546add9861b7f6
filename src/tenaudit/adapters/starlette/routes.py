"""Ready-made routes: the audit trail, and what operators ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Route

from tenaudit.adapters.starlette.wire import accept_of, response_of
from tenaudit.gate import AuditApi, Gate, health_reply, metrics_reply, public, require
from tenaudit.security import current_context

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tenaudit.audit import Redactor, Store

__all__ = ["audit_routes", "internal_routes"]


def audit_routes(gate: Gate, store: Store, *, redactor: Redactor | None = None) -> list[BaseRoute]:
    """Return the routes of the audit trail: `GET /audit/events` and `GET /audit/events/{event_id}`."""
    api = AuditApi(gate, store, redactor=redactor)

    @require("audit_view")
    async def list_events(request: Request) -> Response:
        return response_of(await api.list_events(current_context(), request.query_params.multi_items()))

    @require("audit_view")
    async def one_event(request: Request) -> Response:
        return response_of(await api.one_event(current_context(), request.path_params["event_id"]))

    return [Route("/audit/events", list_events), Route("/audit/events/{event_id}", one_event)]


def internal_routes(gate: Gate) -> list[BaseRoute]:
    """Return the operators' routes: `GET /internal/metrics` and `GET /internal/health`, both public."""

    @public()
    async def metrics(request: Request) -> Response:
        return response_of(metrics_reply(gate, accept_of(request.scope)))

    @public()
    async def health(_request: Request) -> Response:
        return response_of(health_reply(gate))

    return [Route("/internal/metrics", metrics), Route("/internal/health", health)]
