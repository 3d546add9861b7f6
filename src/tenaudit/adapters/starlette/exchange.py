"""How a Starlette application answers what its handlers and its router raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tenaudit.adapters.starlette.allowed import allowed_methods
from tenaudit.adapters.starlette.wire import EXCHANGE, accept_of, api_error_of, response_of
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope

    from tenaudit.errors import Reply
    from tenaudit.gate import Exchange

__all__ = ["answer_http_exception", "answer_of"]


def answer_of(exchange: Exchange, error: Exception, scope: Scope) -> Reply:
    """Turn whatever was raised into the bytes of an answer."""
    if not isinstance(error, HTTPException):
        return exchange.reply(error, accept_of(scope))
    if exchange.template is not None:
        return exchange.reply(api_error_of(error), accept_of(scope))
    if error.status_code != 405:
        return exchange.reply(exchange.unrouted(api_error_of(error)), accept_of(scope))
    # Starlette names the methods of the first route that fits the path; there may be more.
    methods = allowed_methods(scope)
    if scope["method"] == "OPTIONS":
        return exchange.options(methods)
    return exchange.reply(exchange.unrouted(ApiError.method_not_allowed([*methods, "OPTIONS"])), accept_of(scope))


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Answer what a handler or the router raised: an error in our shape, a redirect or a 304 as it is."""
    exchange = request.scope[EXCHANGE]
    if request.scope["type"] == "websocket" and exchange.status and isinstance(error, HTTPException):
        # The handshake is over, and with it the time for responses: the gate's middleware closes the socket.
        raise api_error_of(error)
    if isinstance(error, HTTPException) and error.status_code < 400:
        return Response(status_code=error.status_code, headers=dict(error.headers or {}))
    return response_of(answer_of(exchange, error, request.scope))
