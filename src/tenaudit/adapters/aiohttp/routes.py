"""Ready-made routes: the audit trail, and what operators ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from tenaudit.adapters.aiohttp.stream import streamed_response
from tenaudit.adapters.aiohttp.wire import response_of
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
) -> list[web.RouteDef]:
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

    @require("audit_view")
    async def list_events(request: web.Request) -> web.Response:
        return response_of(await api.list_events(current_context(), list(request.query.items())))

    @require("audit_view")
    async def one_event(request: web.Request) -> web.Response:
        return response_of(await api.one_event(current_context(), request.match_info["event_id"]))

    @require("audit_view")
    async def event_proof(request: web.Request) -> web.Response:
        event_id, parameters = request.match_info["event_id"], list(request.query.items())
        return response_of(await api.event_proof(current_context(), event_id, parameters))

    @require("audit_view")
    async def checkpoint(request: web.Request) -> web.Response:
        return response_of(await api.checkpoint(current_context(), list(request.query.items())))

    @require("audit_view")
    async def consistency(request: web.Request) -> web.Response:
        return response_of(await api.consistency(current_context(), list(request.query.items())))

    @require("audit_view")
    async def export(request: web.Request) -> web.StreamResponse:
        return await streamed_response(request, await api.export(current_context(), list(request.query.items())))

    @require("audit_view")
    async def follow(request: web.Request) -> web.StreamResponse:
        last = request.headers.get("Last-Event-ID")
        return await streamed_response(request, await api.tail(current_context(), list(request.query.items()), last))

    @require("audit_view")
    async def stats(request: web.Request) -> web.Response:
        return response_of(await api.stats(current_context(), list(request.query.items())))

    @authenticated()
    async def document(_request: web.Request) -> web.Response:
        return response_of(api.document())

    return [
        web.get("/audit/events", list_events),
        web.get("/audit/events/{event_id}", one_event),
        web.get("/audit/events/{event_id}/proof", event_proof),
        web.get("/audit/checkpoint", checkpoint),
        web.get("/audit/consistency", consistency),
        web.get("/audit/export", export),
        web.get("/audit/tail", follow),
        web.get("/audit/stats", stats),
        web.get("/audit/openapi.json", document),
    ]


def internal_routes(gate: Gate) -> list[web.RouteDef]:
    """Return the operators' routes: `GET /internal/metrics` and `GET /internal/health`, both public."""

    @public()
    async def metrics(request: web.Request) -> web.Response:
        return response_of(metrics_reply(gate, ",".join(request.headers.getall("Accept", ()))))

    @public()
    async def health(_request: web.Request) -> web.Response:
        return response_of(health_reply(gate))

    return [web.get("/internal/metrics", metrics), web.get("/internal/health", health)]
