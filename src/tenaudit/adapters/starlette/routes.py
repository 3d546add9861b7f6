"""Ready-made routes: the audit trail, and what operators ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Route

from tenaudit.adapters.starlette.stream import StreamedResponse
from tenaudit.adapters.starlette.wire import accept_of, response_of
from tenaudit.gate import AuditApi, Gate, authenticated, health_reply, metrics_reply, public, require
from tenaudit.security import current_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

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
) -> list[BaseRoute]:
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
    async def list_events(request: Request) -> Response:
        return response_of(await api.list_events(current_context(), request.query_params.multi_items()))

    @require("audit_view")
    async def one_event(request: Request) -> Response:
        return response_of(await api.one_event(current_context(), request.path_params["event_id"]))

    @require("audit_view")
    async def event_proof(request: Request) -> Response:
        event_id, parameters = request.path_params["event_id"], request.query_params.multi_items()
        return response_of(await api.event_proof(current_context(), event_id, parameters))

    @require("audit_view")
    async def checkpoint(request: Request) -> Response:
        return response_of(await api.checkpoint(current_context(), request.query_params.multi_items()))

    @require("audit_view")
    async def consistency(request: Request) -> Response:
        return response_of(await api.consistency(current_context(), request.query_params.multi_items()))

    @require("audit_view")
    async def export(request: Request) -> StreamedResponse:
        return StreamedResponse(await api.export(current_context(), request.query_params.multi_items()))

    @require("audit_view")
    async def follow(request: Request) -> StreamedResponse:
        last = request.headers.get("last-event-id")
        return StreamedResponse(await api.tail(current_context(), request.query_params.multi_items(), last))

    @require("audit_view")
    async def stats(request: Request) -> Response:
        return response_of(await api.stats(current_context(), request.query_params.multi_items()))

    @authenticated()
    async def document(_request: Request) -> Response:
        return response_of(api.document())

    return [
        Route("/audit/events", list_events),
        Route("/audit/events/{event_id}", one_event),
        Route("/audit/events/{event_id}/proof", event_proof),
        Route("/audit/checkpoint", checkpoint),
        Route("/audit/consistency", consistency),
        Route("/audit/export", export),
        Route("/audit/tail", follow),
        Route("/audit/stats", stats),
        Route("/audit/openapi.json", document),
    ]


def internal_routes(gate: Gate) -> list[BaseRoute]:
    """Return the operators' routes: `GET /internal/metrics` and `GET /internal/health`, both public."""

    @public()
    async def metrics(request: Request) -> Response:
        return response_of(metrics_reply(gate, accept_of(request.scope)))

    @public()
    async def health(_request: Request) -> Response:
        return response_of(health_reply(gate))

    return [Route("/internal/metrics", metrics), Route("/internal/health", health)]
