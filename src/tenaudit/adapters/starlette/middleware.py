"""One connection from start to end, without a task of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from tenaudit._kernel.error import ConfigurationError
from tenaudit.adapters.starlette.exchange import EXCHANGE, Exchange
from tenaudit.adapters.starlette.guard import guard_routes
from tenaudit.adapters.starlette.wire import api_error_of, header_text, request_view, send_reply
from tenaudit.errors import ApiError, Reply
from tenaudit.policy.guard import bind_guard, unbind_guard
from tenaudit.security import bind_context

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tenaudit.gate import Gate, Identity

__all__ = ["GateMiddleware"]


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
                guard_routes(self._routes, "", self._gate, self._undeclared)
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
        gate = self._gate
        view = request_view(scope)
        identity = await gate.identify(view) if gate.is_edge else gate.recognize(view)
        exchange = scope[EXCHANGE] = Exchange(identity)
        trace_header = (b"x-trace-id", identity.trace.trace_id.encode())
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                if exchange.template is None:
                    _refuse_unguarded(identity, message["status"])
                status = message["status"]
                message["headers"] = [*message["headers"], trace_header, *exchange.rate_headers]
            await send(message)

        guard = bind_guard(gate.policy)
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
            await send_reply(reply, send, exchange.rate_headers)
        finally:
            unbind_guard(guard)
            gate.settle(scope["method"], exchange.template, status or 500, time.perf_counter() - started)
            if exchange.admission is not None and exchange.admission.holds_slots:
                await gate.release(exchange.admission)

    def _reply(self, error: Exception, exchange: Exchange, scope: Scope) -> Reply:
        identity = exchange.identity
        if isinstance(error, HTTPException):
            # Identity comes before the route: whoever names no tenant learns nothing about routes.
            known = identity.refusal if exchange.template is None else None
            error = known or api_error_of(error)
        elif not isinstance(error, ApiError):
            error = self._gate.fault(error, identity.trace)
        return self._gate.reply(error, identity.trace, accept=header_text(scope, b"accept"))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = scope[EXCHANGE] = Exchange(await self._gate.identify(request_view(scope)))
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


def _refuse_unguarded(identity: Identity, status: int) -> None:
    """Hold back an answer that no guarded route gave: nobody asked whether this caller may have it."""
    if identity.refusal is not None:
        raise identity.refusal
    if status < 300:
        raise ConfigurationError("an answer came from a handler without a guard; declare it as a route of the app")
