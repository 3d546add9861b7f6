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
from tenaudit.gate import bind_request, unbind_request

if TYPE_CHECKING:
    from collections.abc import Awaitable

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

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection; returns what is to be awaited, which costs no coroutine of its own."""
        # Routes may be added until the last moment, and none may be served without its guard.
        if len(self._routes) != self._guarded:
            try:
                guard_routes(self._routes, "", self._gate, self._undeclared)
            except ConfigurationError as error:
                return self._refuse(error, scope, receive, send)
            self._guarded = len(self._routes)
        if scope["type"] == "http":
            return self._http(scope, receive, send)
        if scope["type"] == "websocket":
            return self._websocket(scope, receive, send)
        return self._app(scope, receive, send)

    async def _refuse(self, error: ConfigurationError, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            # Said in the protocol's words: an exception alone makes some servers go on without lifespan.
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        raise error

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        gate = self._gate
        view = request_view(scope, every_header=gate.is_edge)
        identity = await gate.identify(view) if gate.is_edge else gate.recognize(view)
        exchange = scope[EXCHANGE] = Exchange(identity)
        trace_id = identity.trace.trace_id.encode()
        status = 0

        # No coroutine of its own either: what it returns is the server's.
        def send_on(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                if exchange.template is None:
                    _refuse_unguarded(identity, message["status"])
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-trace-id", trace_id), *exchange.rate_headers]
            return send(message)

        bound = bind_request(gate, identity)
        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            if status:
                raise
            reply = self._reply(error, exchange, scope)
            status = reply.status
            await send_reply(reply, send, exchange.rate_headers)
        finally:
            unbind_request(bound)
            # No status: the client went away before there was one, which servers log as 499.
            gate.settle(scope["method"], exchange.template, status or 499, time.perf_counter() - started)
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
        exchange = scope[EXCHANGE] = Exchange(await self._gate.identify(request_view(scope, every_header=True)))
        bound = bind_request(self._gate, exchange.identity)
        try:
            await self._app(scope, receive, send)
        except ApiError:
            # Before the handshake is accepted the server turns this close into a 403.
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        finally:
            unbind_request(bound)


def _refuse_unguarded(identity: Identity, status: int) -> None:
    """Hold back an answer that no guarded route gave: nobody asked whether this caller may have it."""
    if identity.refusal is not None:
        raise identity.refusal
    if status < 300:
        raise ConfigurationError("an answer came from a handler without a guard; declare it as a route of the app")
