"""ASGI's words as ours, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from tenaudit.errors import ApiError, Reply
from tenaudit.gate import RequestView
from tenaudit.security import HEADERS_READ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.exceptions import HTTPException
    from starlette.types import Scope, Send

__all__ = [
    "LIMITED_NAMES",
    "TRACE_NAMES",
    "api_error_of",
    "encoded",
    "header_text",
    "request_view",
    "response_of",
    "send_reply",
]

# Names that stand in an answer once, with the gate's value, whatever a handler wrote.
TRACE_NAMES = frozenset({b"x-trace-id"})
LIMITED_NAMES = TRACE_NAMES | {b"ratelimit", b"ratelimit-policy"}

_NAMES = {name.encode(): name for name in HEADERS_READ}


def request_view(scope: Scope, *, every_header: bool = False) -> RequestView:
    """Return what the gate reads of an ASGI scope.

    Args:
        scope: the connection.
        every_header: whether credentials and the rest are needed too, as an edge gate needs them.
    """
    client = scope.get("client")
    # HTTP header bytes are ISO 8859-1 to ASGI, whatever they mean; names are lower-case already. One look-up both
    # picks a name and decodes it; a name with an underscore may be a twin of one, which must be seen.
    headers = [
        (name or raw_name.decode("latin-1"), value.decode("latin-1"))
        for raw_name, value in scope["headers"]
        if (name := _NAMES.get(raw_name)) is not None or every_header or b"_" in raw_name
    ]
    return RequestView(headers, client[0] if client else None)


def header_text(scope: Scope, wanted: bytes) -> str:
    """Return all values of a header as one comma-separated text."""
    return ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == wanted)


def encoded(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return header pairs as ASGI wants them: lower-case bytes."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def send_reply(reply: Reply, send: Send) -> None:
    """Send a finished reply."""
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded(reply.headers)})
    await send({"type": "http.response.body", "body": reply.body})


def response_of(reply: Reply) -> Response:
    """Return a finished reply as Starlette's response."""
    return Response(reply.body, reply.status, dict(reply.headers))


def api_error_of(error: HTTPException) -> ApiError:
    """Return a framework's HTTP error in our form: its status, the code of that status, its detail as the message."""
    known: Any = ApiError.from_response(error.status_code if 400 <= error.status_code <= 599 else 500, {}, {})
    # FastAPI lets the detail be any JSON value; only text can be the message.
    detail: Any = error.detail
    message = detail if isinstance(detail, str) else known.message
    return ApiError(known.status, known.code, message, headers=tuple((error.headers or {}).items()))
