"""One aiohttp request from start to end."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from aiohttp import payload, web

from tenaudit._kernel.error import ConfigurationError
from tenaudit.adapters.aiohttp.guard import template_of
from tenaudit.adapters.aiohttp.wire import EXCHANGE, api_error_of, request_view, response_of, with_headers
from tenaudit.audit.bound_producer import BOUND_PRODUCER
from tenaudit.gate import Exchange, framework_error
from tenaudit.policy.guard import BOUND_GUARD
from tenaudit.security import extract_trace
from tenaudit.security.context import BOUND_CONTEXT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Handler, Middleware

    from tenaudit.adapters.aiohttp.guard import Guard
    from tenaudit.gate import Gate

__all__ = ["gate_middleware", "preparing"]


def gate_middleware(gate: Gate, guard: Guard) -> Middleware:
    """Return the middleware that identifies, binds the context, asks for admission, turns errors into envelopes.

    Args:
        gate: what decides.
        guard: what the routes declare.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = perf_counter()
        if gate.is_edge:
            identity = await gate.identify(request_view(request, every_header=True))
            exchange = request[EXCHANGE] = Exchange(gate, identity)
            request = with_headers(request, identity.headers)
        else:
            identity = gate.recognize(request_view(request, target=gate.needs_target))
            exchange = request[EXCHANGE] = Exchange(gate, identity)
        # Reset at the end, whatever task serves the next request of the connection.
        bound_guard = BOUND_GUARD.set(gate.policy)
        bound_producer = BOUND_PRODUCER.set(gate.producer)
        bound = BOUND_CONTEXT.set(identity.context)
        try:
            response = await _answered(exchange, guard, request, handler)
            exchange.status = response.status
        except web.HTTPException as redirect:
            exchange.status = redirect.status
            raise
        finally:
            BOUND_CONTEXT.reset(bound)
            BOUND_PRODUCER.reset(bound_producer)
            BOUND_GUARD.reset(bound_guard)
            gate.settle(
                request.method, exchange.template, exchange.status or 499, perf_counter() - started, identity.trace
            )
            if exchange.holds_slots and exchange.admission is not None:
                await gate.release(exchange.admission)
        return response

    return middleware


async def _answered(exchange: Exchange, guard: Guard, request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        if request.match_info.http_exception is not None:
            return _refused(exchange, request.match_info.http_exception, request)
        await _admit(exchange, guard, request)
        response = await handler(request)
        if isinstance(response, web.HTTPException):
            return _refused(exchange, response, request)
        return await _streamed(response, request)
    except web.HTTPException as error:
        return _refused(exchange, error, request)
    except Exception as error:
        if exchange.status:
            raise
        return _reply(exchange, error, request)


async def _admit(exchange: Exchange, guard: Guard, request: web.Request) -> None:
    """Ask for admission to the route's handler.

    Raises:
        HTTPMethodNotAllowed: a class view has no code for the method.
        ApiError: 401 or 400 for the identity, 429 for the rate, 403 for the capability.
    """
    route = request.match_info.route
    rule = guard.rule(route, request.method)
    exchange.template = template_of(route)
    if not exchange.gate.is_limited:
        exchange.gate.ensure(exchange.identity, rule)
        return
    exchange.admitted(await exchange.gate.admit(exchange.identity, rule))


async def _streamed(response: web.StreamResponse, request: web.Request) -> web.StreamResponse:
    """Send a body that is made while it is sent here, where its code still finds the context."""
    if not isinstance(response, web.StreamResponse):
        raise TypeError(f"a handler returned {type(response).__name__}, which is no response")
    values = "".join(response.headers.values())
    if "\n" in values or "\r" in values:
        # aiohttp would find out when the middleware is done, and break the connection off.
        raise ConfigurationError("a header of the response holds a line break")
    if isinstance(response, web.Response) and isinstance(response.body, payload.AsyncIterablePayload):
        await response.prepare(request)
        await response.write_eof()
    return response


def _refused(exchange: Exchange, error: web.HTTPException, request: web.Request) -> web.Response:
    """Answer aiohttp's own kind of error, which is a response of its own: ours in its place, or a redirect as it is.

    Raises:
        HTTPException: a redirect, which aiohttp sends.
    """
    unrouted = exchange.template is None
    if error.status < 400:
        raise error
    if not unrouted:
        return _reply(exchange, api_error_of(error), request)
    if isinstance(error, web.HTTPMethodNotAllowed) and request.method == "OPTIONS":
        return response_of(exchange.options(error.allowed_methods))
    return _reply(exchange, exchange.unrouted(api_error_of(error)), request)


def _reply(exchange: Exchange, error: Exception, request: web.Request) -> web.Response:
    return response_of(exchange.reply(error, _accept_of(request)))


def _accept_of(request: web.Request) -> str:
    return ",".join(request.headers.getall("Accept", ()))


def preparing(gate: Gate) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Return what names the trace in a response that is about to start, and where the client stands with its limits."""

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        exchange = request.get(EXCHANGE)
        if exchange is None:
            if isinstance(response, web.HTTPExpectationFailed):
                _rewrite(gate, response, request)
            return
        exchange.status = response.status
        response.headers["X-Trace-ID"] = exchange.identity.trace.trace_id
        for name, value in exchange.rate_headers:
            response.headers[name] = value

    return prepare


def _rewrite(gate: Gate, response: web.Response, request: web.Request) -> None:
    """Put our shape in the place of aiohttp's: it refuses expectations before any middleware."""
    trace = extract_trace(request_view(request).headers, settings=gate.security)
    reply = gate.reply(framework_error(response.status, None), trace, accept=_accept_of(request))
    response.body = reply.body
    for name, value in reply.headers:
        response.headers[name] = value
