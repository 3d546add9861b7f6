"""ASGI's words as ours, and back."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from tenaudit.gate import Exchange, RequestView, framework_error
from tenaudit.security import HEADERS_READ, SignedTarget

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from starlette.exceptions import HTTPException
    from starlette.types import Scope, Send

    from tenaudit.errors import ApiError, Reply
    from tenaudit.security import SecurityContext

__all__ = [
    "EXCHANGE",
    "LIMITED_NAMES",
    "ROUTES",
    "TRACE_NAMES",
    "accept_of",
    "api_error_of",
    "context_of",
    "encoded",
    "request_view",
    "response_of",
    "send_reply",
]

# Keys of the ASGI scope: the exchange, and the routes that the gate guards.
EXCHANGE = "tenaudit.exchange"
ROUTES = "tenaudit.routes"

# Names that stand in an answer once, with the gate's value, whatever a handler wrote.
TRACE_NAMES = frozenset({b"x-trace-id"})
LIMITED_NAMES = TRACE_NAMES | {b"ratelimit", b"ratelimit-policy"}

_NAMES = {name.encode(): name for name in HEADERS_READ}
# The names of every answer with a limit.
_LOWER = {"RateLimit": b"ratelimit", "RateLimit-Policy": b"ratelimit-policy"}


def request_view(scope: Scope, *, every_header: bool = False, target: bool = False) -> RequestView:
    """Return what the gate reads of an ASGI scope.

    Args:
        scope: the connection.
        every_header: whether credentials and the rest are needed too, as an edge gate needs them.
        target: whether the request line is needed too, as signed contexts need it.
    """
    client = scope.get("client")
    # HTTP header bytes are ISO 8859-1 to ASGI, whatever they mean; names are lower-case already. One look-up both
    # picks a name and decodes it; a name with an underscore may be a twin of one, which must be seen.
    headers = []
    for raw_name, value in scope["headers"]:
        name = _NAMES.get(raw_name)
        if name is not None:
            headers.append((name, value.decode("latin-1")))
        elif every_header or b"_" in raw_name:
            headers.append((raw_name.decode("latin-1"), value.decode("latin-1")))
    return RequestView(headers, client[0] if client else None, _target(scope) if target else None)


def _target(scope: Scope) -> SignedTarget:
    # The path as it was sent; a server that keeps none shows it decoded only, and a wrong guess is refused.
    path = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string", b"")
    raw = b"?".join((path, query)) if query else path
    method = scope.get("method", "GET")  # a WebSocket's handshake is a GET (RFC 6455 section 4.1)
    return SignedTarget(method, _header_text(scope, b"host"), raw.decode("latin-1"))


def accept_of(scope: Scope) -> str:
    """Return all values of `Accept` as one comma-separated text."""
    return _header_text(scope, b"accept")


def _header_text(scope: Scope, wanted: bytes) -> str:
    return ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == wanted)


def context_of(scope: MutableMapping[str, Any]) -> SecurityContext | None:
    """Return the context of a request, for ASGI middleware that stands before the gate's.

    Args:
        scope: the ASGI scope, `request.scope` in a handler.
    """
    exchange = scope.get(EXCHANGE)
    return exchange.identity.context if isinstance(exchange, Exchange) else None


def encoded(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return header pairs as ASGI wants them: lower-case bytes."""
    return [(_LOWER.get(name) or name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def send_reply(reply: Reply, send: Send, *, kind: str = "http.response") -> None:
    """Send a finished reply; *kind* is `websocket.http.response` in the place of a handshake."""
    await send({"type": f"{kind}.start", "status": reply.status, "headers": encoded(reply.headers)})
    await send({"type": f"{kind}.body", "body": reply.body})


def response_of(reply: Reply) -> Response:
    """Return a finished reply as Starlette's response."""
    return Response(reply.body, reply.status, dict(reply.headers))


def api_error_of(error: HTTPException) -> ApiError:
    """Return a framework's HTTP error in our form: its status, the code of that status, its detail as the message."""
    # FastAPI lets the detail be any JSON value; only text can be the message.
    detail: Any = error.detail
    own = not isinstance(detail, str) or detail == _phrase(error.status_code)
    return framework_error(error.status_code, None if own else detail, (error.headers or {}).items())


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
