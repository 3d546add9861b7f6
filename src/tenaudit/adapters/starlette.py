"""Starlette, and any ASGI framework on top of it: two conversions and two calls.

Pure ASGI, because `BaseHTTPMiddleware` runs the application in another task: contextvars set below it are lost
above it, and each request pays for the task.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra
from tenaudit.errors import ApiError, Reply
from tenaudit.gate import (
    AuditApi,
    Gate,
    Identity,
    RequestView,
    RouteRule,
    authenticated,
    declared,
    health_reply,
    metrics_reply,
    public,
    require,
)
from tenaudit.policy.guard import bind_guard, unbind_guard
from tenaudit.ratelimit import rate_limit_headers
from tenaudit.security import bind_context
from tenaudit.security import current_context as current

try:
    from starlette.exceptions import HTTPException
    from starlette.responses import Response
    from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute
except ImportError as error:
    raise MissingExtra("starlette") from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tenaudit.audit import Redactor, Store

__all__ = [
    "GateMiddleware",
    "audit_routes",
    "authenticated",
    "current",
    "install",
    "internal_routes",
    "public",
    "require",
]

_EXCHANGE = "tenaudit.exchange"


def install(app: Starlette, gate: Gate, *, undeclared: str = "refuse") -> None:
    """Put *gate* in front of every route of *app*.

    Args:
        app: a Starlette or FastAPI application.
        gate: what decides.
        undeclared: what to do with a route that declares nothing: `"refuse"` to start,
            or `"identify"`: serve it to anyone with an identity, and say so in the log.

    Raises:
        ConfigurationError: *undeclared* is neither.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from starlette.applications import Starlette
        >>> app = Starlette(routes=internal_routes(gate := Gate("orders", registry=CollectorRegistry())))
        >>> install(app, gate)
    """
    if undeclared not in ("refuse", "identify"):
        raise ConfigurationError(f'undeclared must be "refuse" or "identify", not {undeclared!r}')
    app.add_middleware(GateMiddleware, gate=gate, routes=app.router.routes, undeclared=undeclared)
    # Starlette would answer in plain text; raising on lets the middleware answer for every error alike.
    app.add_exception_handler(HTTPException, _raise_on)


async def _raise_on(_request: Request, error: Exception) -> Response:
    raise error


class _Exchange:
    """What middleware and route know of one request: the first writes it, the second adds the route."""

    __slots__ = ("identity", "rate_headers", "template")

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.template: str | None = None
        self.rate_headers: list[tuple[bytes, bytes]] = []


class GateMiddleware:
    """Identifies, binds the context, turns errors into envelopes and counts; the routes ask for admission."""

    def __init__(self, app: ASGIApp, gate: Gate, routes: list[BaseRoute], undeclared: str = "refuse") -> None:
        self._app = app
        self._gate = gate
        self._routes = routes
        self._undeclared = undeclared
        self._guarded = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        # Routes may be added until the last moment, and none may be served without its guard.
        if len(self._routes) != self._guarded:
            try:
                _guard_routes(self._routes, "", self._gate, self._undeclared)
            except ConfigurationError as error:
                if scope["type"] == "lifespan":
                    # Said in the protocol's words: an exception alone makes some servers go on without lifespan.
                    await receive()
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                raise
            self._guarded = len(self._routes)
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        exchange = scope[_EXCHANGE] = _Exchange(await self._gate.identify(_view(scope)))
        identity = exchange.identity
        trace_header = (b"x-trace-id", identity.trace.trace_id.encode())
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], trace_header, *exchange.rate_headers]
            await send(message)

        guard = bind_guard(self._gate.policy)
        try:
            if identity.context is None:
                await self._app(scope, receive, send_on)
            else:
                with bind_context(identity.context):
                    await self._app(scope, receive, send_on)
        except Exception as error:
            if status:
                raise
            reply = self._reply(error, exchange, scope)
            status = reply.status
            await _send_reply(reply, send, exchange.rate_headers)
        finally:
            unbind_guard(guard)
            self._gate.settle(scope["method"], exchange.template, status or 500, time.perf_counter() - started)

    def _reply(self, error: Exception, exchange: _Exchange, scope: Scope) -> Reply:
        identity = exchange.identity
        if isinstance(error, HTTPException):
            # Identity comes before the route: whoever names no tenant learns nothing about routes.
            known = identity.refusal if exchange.template is None else None
            error = known or _from_http_exception(error)
        elif not isinstance(error, ApiError):
            error = self._gate.fault(error, identity.trace)
        return self._gate.reply(error, identity.trace, accept=_header(scope, b"accept"))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = scope[_EXCHANGE] = _Exchange(await self._gate.identify(_view(scope)))
        guard = bind_guard(self._gate.policy)
        try:
            if exchange.identity.context is None:
                await self._app(scope, receive, send)
            else:
                with bind_context(exchange.identity.context):
                    await self._app(scope, receive, send)
        except ApiError:
            # Before the handshake is accepted the server turns this close into a 403.
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        finally:
            unbind_guard(guard)


class _GuardedRoute:
    """Stands between the router and a handler: the route is known here, and nothing of the handler has run."""

    __slots__ = ("_app", "_gate", "_rule", "_template")

    def __init__(self, app: ASGIApp, gate: Gate, rule: RouteRule, template: str) -> None:
        self._app = app
        self._gate = gate
        self._rule = rule
        self._template = template

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: _Exchange = scope[_EXCHANGE]
        exchange.template = self._template
        admission = await self._gate.admit(exchange.identity, self._rule)
        if admission.rate is not None:
            exchange.rate_headers = _encoded(rate_limit_headers(admission.rate))
        await self._app(scope, receive, send)


def _guard_routes(routes: Sequence[BaseRoute], prefix: str, gate: Gate, undeclared: str) -> None:
    for route in routes:
        if isinstance(route, Mount) and route.routes:
            _guard_routes(route.routes, prefix + route.path, gate, undeclared)
        elif isinstance(route, Host) and route.routes:
            _guard_routes(route.routes, prefix, gate, undeclared)
        elif isinstance(route, Route | WebSocketRoute | Mount | Host):
            if not isinstance(route.app, _GuardedRoute):
                path = prefix + getattr(route, "path", "")
                rule = _rule_of(route, path, undeclared)
                route.app = _GuardedRoute(route.app, gate, rule, path)
        else:
            raise ConfigurationError(f"a {type(route).__name__} cannot be guarded; declare its handlers as routes")


def _rule_of(route: BaseRoute, path: str, undeclared: str) -> RouteRule:
    handler = getattr(route, "endpoint", None) or getattr(route, "app", None)
    rule = declared(handler)
    if rule is not None:
        return rule
    if undeclared == "refuse":
        raise ConfigurationError(
            f'route {path} declares nothing: decorate its handler with require("..."), authenticated() or public()'
        )
    return RouteRule()


def audit_routes(gate: Gate, store: Store, *, redactor: Redactor | None = None) -> list[BaseRoute]:
    """Return the routes of the audit trail: `GET /audit/events` and `GET /audit/events/{event_id}`."""
    api = AuditApi(gate, store, redactor=redactor)

    @require("audit_view")
    async def list_events(request: Request) -> Response:
        return _response(await api.list_events(current(), request.query_params.multi_items()))

    @require("audit_view")
    async def one_event(request: Request) -> Response:
        return _response(await api.one_event(current(), request.path_params["event_id"]))

    return [Route("/audit/events", list_events), Route("/audit/events/{event_id}", one_event)]


def internal_routes(gate: Gate) -> list[BaseRoute]:
    """Return the operators' routes: `GET /internal/metrics` and `GET /internal/health`, both public."""

    @public()
    async def metrics(request: Request) -> Response:
        return _response(metrics_reply(gate, request.headers.get("accept", "")))

    @public()
    async def health(_request: Request) -> Response:
        return _response(health_reply(gate))

    return [Route("/internal/metrics", metrics), Route("/internal/health", health)]


def _view(scope: Scope) -> RequestView:
    client = scope.get("client")
    # HTTP header bytes are ISO 8859-1 to ASGI, whatever they mean.
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    return RequestView(headers, client[0] if client else None)


def _header(scope: Scope, wanted: bytes) -> str:
    return ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == wanted)


def _encoded(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def _send_reply(reply: Reply, send: Send, more: list[tuple[bytes, bytes]]) -> None:
    headers = [*_encoded(reply.headers), *more]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers))


def _from_http_exception(error: HTTPException) -> ApiError:
    known: Any = ApiError.from_response(error.status_code if error.status_code >= 400 else 500, {}, {})
    # FastAPI lets the detail be any JSON value; only text can be the message.
    detail: Any = error.detail
    message = detail if isinstance(detail, str) else known.message
    return ApiError(known.status, known.code, message, headers=tuple((error.headers or {}).items()))
