"""One connection from start to end, without a task of its own."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.adapters.starlette.exchange import answer_of
from tenaudit.adapters.starlette.wire import (
    EXCHANGE,
    LIMITED_NAMES,
    ROUTES,
    TRACE_NAMES,
    encoded,
    request_view,
    send_reply,
)
from tenaudit.audit.bound_producer import BOUND_PRODUCER
from tenaudit.errors import ApiError
from tenaudit.gate import Exchange
from tenaudit.policy.guard import BOUND_GUARD
from tenaudit.security.context import BOUND_CONTEXT

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tenaudit.gate import Gate

__all__ = ["GateMiddleware"]

# Starlette's limit of bodies answers in plain text instead of raising; it is told by its text's length.
_TOO_LARGE = 413
_STARLETTES_OWN = {(b"content-length", b"17"), (b"content-type", b"text/plain; charset=utf-8")}
# Numbers, since a byte is looked for four times as fast as a text of one.
_LF, _CR = b"\n\r"
# The ASGI extension by which a handshake is refused with a whole response.
_DENIAL = "websocket.http.response"


class GateMiddleware:
    """Identifies, binds the context, turns errors into envelopes and counts; the routes ask for admission.

    Args:
        app: the next application.
        gate: what decides.
        guarded: the application whose routes are guarded; swapping its router or its list of routes for another
            afterwards would serve handlers without a guard, so nothing is served then.
    """

    def __init__(self, app: ASGIApp, gate: Gate, guarded: Starlette) -> None:
        self._app = app
        self._gate = gate
        self._guarded = guarded
        self._router = guarded.router
        self._routes = guarded.router.routes
        self._default = guarded.router.default

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection; returns what is to be awaited, which costs no coroutine of its own."""
        router = self._guarded.router
        if router is not self._router or router.routes is not self._routes or router.default is not self._default:
            raise ConfigurationError("the application's routes were swapped after install; add to them instead")
        if scope["type"] == "http":
            return self._http(scope, receive, send)
        if scope["type"] == "websocket":
            return self._websocket(scope, receive, send)
        return self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        gate = self._gate
        if gate.reads_raw:
            client = scope.get("client")
            exchange = Exchange(gate, gate.recognize_raw(scope["headers"], client[0] if client else None))
        else:
            exchange = await self._identified(scope)
        scope[EXCHANGE] = exchange
        scope[ROUTES] = self._routes
        identity = exchange.identity

        send_on = _sending(exchange, scope, send)
        guard = BOUND_GUARD.set(gate.policy)
        producer = BOUND_PRODUCER.set(gate.producer)
        # Also when nobody asks: a server may start a request in the context of the one before it.
        bound = BOUND_CONTEXT.set(identity.context)
        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            if exchange.status:
                raise
            await send_reply(answer_of(exchange, error, scope), send_on)
        finally:
            BOUND_CONTEXT.reset(bound)
            BOUND_PRODUCER.reset(producer)
            BOUND_GUARD.reset(guard)
            # No status: the client went away before there was one, which servers log as 499.
            seconds = perf_counter() - started
            gate.settle(scope["method"], exchange.template, exchange.status or 499, seconds, identity.trace)
            if exchange.holds_slots and exchange.admission is not None:
                await gate.release(exchange.admission)

    async def _identified(self, scope: Scope) -> Exchange:
        """Identify; behind an edge handlers see the headers as they go inward, without what the client said."""
        gate = self._gate
        identity = await gate.identify(request_view(scope, every_header=gate.is_edge, target=gate.needs_target))
        if gate.is_edge:
            scope["headers"] = encoded(identity.headers)
        return Exchange(gate, identity)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = scope[EXCHANGE] = await self._identified(scope)

        async def send_on(message: Message) -> None:
            if exchange.template is None and message["type"] != "websocket.close":
                exchange.refuse_unguarded("GET", 200)
            exchange.status = 101 if message["type"] == "websocket.accept" else exchange.status
            await send(message)

        guard = BOUND_GUARD.set(self._gate.policy)
        producer = BOUND_PRODUCER.set(self._gate.producer)
        bound = BOUND_CONTEXT.set(exchange.identity.context)
        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            # An open socket that fails is the server's to end; what was refused is closed as such.
            if exchange.status and not isinstance(error, ApiError):
                raise
            await self._deny(exchange, error, scope, send)
        finally:
            BOUND_CONTEXT.reset(bound)
            BOUND_PRODUCER.reset(producer)
            BOUND_GUARD.reset(guard)
            if exchange.holds_slots and exchange.admission is not None:
                await self._gate.release(exchange.admission)

    async def _deny(self, exchange: Exchange, error: Exception, scope: Scope, send: Send) -> None:
        """Refuse a handshake with the envelope where the server can; else, and after it, by closing."""
        reply = answer_of(exchange, error, scope)
        if exchange.status == 0 and _DENIAL in scope.get("extensions", {}):
            await send_reply(reply, send, kind=_DENIAL)
        else:
            # Policy violation (RFC 6455 section 7.4.1); before the handshake the server answers 403.
            await send({"type": "websocket.close", "code": 1008, "reason": ""})


def _is_starlettes_own(message: Message) -> bool:
    return {tuple(pair) for pair in message.get("headers", ())} >= _STARLETTES_OWN


def _sending(exchange: Exchange, scope: Scope, send: Send) -> Send:
    """Return *send* as the application gets it: it names the trace and the limits in the answer's headers."""
    trace_id = exchange.identity.trace.trace_id.encode()

    # No coroutine of its own: what it returns is the server's.
    def send_on(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            if exchange.template is None:
                exchange.refuse_unguarded(scope["method"], message["status"])
            if message["status"] == _TOO_LARGE and _is_starlettes_own(message):
                raise ApiError.payload_too_large()
            for _, value in message.get("headers", ()):
                if _LF in value or _CR in value:
                    # Some servers write headers as they are, and others break the connection off.
                    raise ConfigurationError("a header of the response holds a line break")
            exchange.status = message["status"]
            ours = [(b"x-trace-id", trace_id)]
            names = TRACE_NAMES
            if exchange.rate_headers:
                ours += encoded(exchange.rate_headers)
                names = LIMITED_NAMES
            message["headers"] = [pair for pair in message.get("headers", ()) if pair[0] not in names] + ours
        return send(message)

    return send_on
