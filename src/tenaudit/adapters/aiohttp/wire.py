"""aiohttp's words as ours, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from multidict import CIMultiDict

from tenaudit.gate import Exchange, RequestView, framework_error, request_target
from tenaudit.security import HEADERS_READ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.errors import ApiError, Reply
    from tenaudit.security import SecurityContext, SignedTarget

__all__ = ["EXCHANGE", "api_error_of", "context_of", "request_view", "response_of", "with_headers"]

# The key of the exchange in the request.
EXCHANGE: web.RequestKey[Exchange] = web.RequestKey("tenaudit.exchange", Exchange)

_NAMES = {name.encode(): name for name in HEADERS_READ}


def request_view(request: web.Request, *, every_header: bool = False, target: bool = False) -> RequestView:
    """Return what the gate reads of a request.

    Args:
        request: the request.
        every_header: whether credentials and the rest are needed too, as an edge gate needs them.
        target: whether the request line is needed too, as signed contexts need it.
    """
    # The bytes as they came, read as ISO 8859-1 as in the other adapters; aiohttp's own text is UTF-8.
    headers = [
        (name or raw.decode("latin-1"), value.decode("latin-1"))
        for raw, value in request.raw_headers
        if (name := _NAMES.get(raw.lower())) is not None or every_header or b"_" in raw
    ]
    return RequestView(headers, request.remote, _target(request) if target else None)


def _target(request: web.Request) -> SignedTarget:
    # Not `request.host`: it looks up the machine's own name where a client sends no `Host`, which may take seconds.
    return request_target(request.method, ",".join(request.headers.getall("Host", ())), request.raw_path)


def with_headers(request: web.Request, headers: Sequence[tuple[str, str]]) -> web.Request:
    """Return the request as it goes inward: with these headers and no others."""
    return request.clone(headers=CIMultiDict(headers))


def context_of(request: web.BaseRequest) -> SecurityContext | None:
    """Return the context of a request, for a middleware that stands before the gate's."""
    exchange = request.get(EXCHANGE)
    return None if exchange is None else exchange.identity.context


def response_of(reply: Reply) -> web.Response:
    """Return a finished reply as aiohttp's response."""
    # A response without a body has no length of its own here: 204 carries none (RFC 9110 section 8.6).
    return web.Response(body=reply.body or None, status=reply.status, headers=CIMultiDict(reply.headers))


def api_error_of(error: web.HTTPException) -> ApiError:
    """Return aiohttp's HTTP error in our form: its status, the code of that status, the handler's text."""
    return framework_error(error.status, _message(error), error.headers.items())


def _message(error: web.HTTPException) -> str | None:
    """Return what a handler wrote; None when the text is aiohttp's own."""
    if isinstance(error, web.HTTPRequestEntityTooLarge | web.HTTPMethodNotAllowed):
        return None
    if error.text != f"{error.status}: {error.reason}":
        return error.text
    return None if error.reason == type(error)().reason else error.reason
