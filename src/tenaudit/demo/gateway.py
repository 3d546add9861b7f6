"""The gateway: credentials in, verified identity headers out, requests passed on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tenaudit.adapters.starlette import authenticated, current, install, internal_routes, require
from tenaudit.errors import ApiError
from tenaudit.security import ContextSigner, Principal, SecurityContext, SignedTarget, synthesize_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from tenaudit.gate import Gate

__all__ = ["gateway_app"]

_MAX_BODY = 64 * 1024
_PASSED_IN = frozenset({"content-type", "accept"})
# Hop-by-hop fields (RFC 9110 section 7.6.1), what the server writes itself, and what the gate adds.
_KEPT_BACK = frozenset(
    {"connection", "transfer-encoding", "keep-alive", "date", "server", "content-length", "x-trace-id"}
)


def gateway_app(
    gate: Gate, client: httpx.AsyncClient, upstreams: Mapping[str, str], signer: ContextSigner
) -> Starlette:
    """Return the gateway: *upstreams* maps the first path segment to the base URL of a service."""

    async def forward(request: Request) -> Response:
        base = upstreams.get(request.url.path.split("/")[1])
        if base is None:
            raise ApiError.not_found()
        body = await request.body()
        if len(body) > _MAX_BODY:
            raise ApiError.payload_too_large()
        headers = [(name, value) for name, value in request.headers.items() if name in _PASSED_IN]
        url = base + request.url.path + (f"?{request.url.query}" if request.url.query else "")
        identity = _identity_headers(current())
        onward = client.build_request(request.method, url, content=body, headers=[*headers, *identity])
        # Signed is what will be on the wire, so it is read from the request that was built.
        target = SignedTarget(onward.method, onward.headers["host"], onward.url.raw_path.decode("ascii"))
        onward.headers.update(signer.sign(identity, target))
        try:
            answer = await client.send(onward)
        except httpx.HTTPError as error:
            raise ApiError.unavailable("A service does not answer.", retry_after=1) from error
        kept = {name: value for name, value in answer.headers.items() if name not in _KEPT_BACK}
        return Response(answer.content, answer.status_code, kept)

    @authenticated()
    async def proxy(request: Request) -> Response:
        return await forward(request)

    # Refused here already, so that a role that may never void costs the payment service nothing.
    @require("payment_process")
    async def void(request: Request) -> Response:
        return await forward(request)

    routes = [
        *internal_routes(gate),
        Route("/payments/{payment_id}/void", void, methods=["POST"]),
        Route("/{path:path}", proxy, methods=["GET", "POST", "DELETE"]),
    ]
    app = Starlette(routes=routes)
    install(app, gate)
    return app


def _identity_headers(context: SecurityContext) -> list[tuple[str, str]]:
    """Return the headers that state this request's identity and continue its trace."""
    principal = Principal(context.tenant_id, context.actor, context.roles, context.auth_method, context.session_id)
    flags = "01" if context.trace.sampled else "00"
    traceparent = f"00-{context.trace.trace_id}-{os.urandom(8).hex()}-{flags}"
    return [*synthesize_headers(principal), ("traceparent", traceparent)]
