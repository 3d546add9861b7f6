"""Ready-made routes: the audit trail, and what operators ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from tenaudit.adapters.aiohttp.wire import response_of
from tenaudit.gate import AuditApi, Gate, health_reply, metrics_reply, public, require
from tenaudit.security import current_context

if TYPE_CHECKING:
    from tenaudit.audit import Redactor, Store

__all__ = ["audit_routes", "internal_routes"]


def audit_routes(gate: Gate, store: Store, *, redactor: Redactor | None = None) -> list[web.RouteDef]:
    """Return the routes of the audit trail: `GET /audit/events` and `GET /audit/events/{event_id}`."""
    api = AuditApi(gate, store, redactor=redactor)

    @require("audit_view")
    async def list_events(request: web.Request) -> web.Response:
        return response_of(await api.list_events(current_context(), list(request.query.items())))

    @require("audit_view")
    async def one_event(request: web.Request) -> web.Response:
        return response_of(await api.one_event(current_context(), request.match_info["event_id"]))

    return [web.get("/audit/events", list_events), web.get("/audit/events/{event_id}", one_event)]


def internal_routes(gate: Gate) -> list[web.RouteDef]:
    """Return the operators' routes: `GET /internal/metrics` and `GET /internal/health`, both public."""

    @public()
    async def metrics(request: web.Request) -> web.Response:
        return response_of(metrics_reply(gate, ",".join(request.headers.getall("Accept", ()))))

    @public()
    async def health(_request: web.Request) -> web.Response:
        return response_of(health_reply(gate))

    return [web.get("/internal/metrics", metrics), web.get("/internal/health", health)]
