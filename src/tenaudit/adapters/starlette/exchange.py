"""What middleware, routes and exception handlers know of one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tenaudit.adapters.starlette.wire import api_error_of, header_text, response_of
from tenaudit.errors import ApiError, Reply

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope

    from tenaudit.gate import Admission, Gate, Identity

__all__ = ["EXCHANGE", "Exchange", "answer_http_exception"]

# The key of the exchange in the ASGI scope.
EXCHANGE = "tenaudit.exchange"


class Exchange:
    """What middleware and route know of one request: the first writes it, the second adds the route."""

    __slots__ = ("admission", "answered", "gate", "identity", "rate_headers", "status", "template")

    def __init__(self, gate: Gate, identity: Identity) -> None:
        self.gate = gate
        self.identity = identity
        self.template: str | None = None
        self.admission: Admission | None = None
        self.rate_headers: list[tuple[bytes, bytes]] = []
        # Whether the answer is an error of ours, which needs no guarded route to stand behind it.
        self.answered = False
        # The status that went out, 0 before there is one.
        self.status = 0

    def reply(self, error: Exception, scope: Scope) -> Reply:
        """Turn whatever was raised into the bytes of an answer, and count it."""
        self.answered = True
        identity = self.identity
        if isinstance(error, HTTPException):
            # Identity comes before the route: whoever names no tenant learns nothing about routes.
            known = identity.refusal if self.template is None else None
            error = known or api_error_of(error)
        elif not isinstance(error, ApiError):
            error = self.gate.fault(error, identity.trace)
        return self.gate.reply(error, identity.trace, accept=header_text(scope, b"accept"))


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Answer what a handler or the router raised: an error in our shape, a redirect or a 304 as it is."""
    if isinstance(error, HTTPException) and error.status_code < 400:
        return Response(status_code=error.status_code, headers=dict(error.headers or {}))
    exchange: Exchange = request.scope[EXCHANGE]
    return response_of(exchange.reply(error, request.scope))
