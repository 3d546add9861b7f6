"""WSGI's words as ours, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Response
from werkzeug.exceptions import BadRequestKeyError

from tenaudit.gate import Exchange, RequestView, framework_error, request_target
from tenaudit.security import HEADERS_READ, strip_identity_headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from wsgiref.types import WSGIEnvironment

    from werkzeug.exceptions import HTTPException

    from tenaudit.errors import ApiError, Reply
    from tenaudit.security import SecurityContext, SignedTarget

__all__ = [
    "EXCHANGE",
    "api_error_of",
    "context_of",
    "exchange_of",
    "replace_headers",
    "request_view",
    "response_of",
]

# The key of the exchange in the WSGI environment.
EXCHANGE = "tenaudit.exchange"

_KEYS = tuple((f"HTTP_{name.upper().replace('-', '_')}", name) for name in sorted(HEADERS_READ))


def request_view(environ: WSGIEnvironment, *, every_header: bool = False, target: bool = False) -> RequestView:
    """Return what the gate reads of a WSGI environment.

    Args:
        environ: the request.
        every_header: whether credentials and the rest are needed too, as an edge gate needs them.
        target: whether the request line is needed too, as signed contexts need it.
    """
    headers = (
        list(_every_header(environ))
        if every_header
        else [(name, environ[key]) for key, name in _KEYS if key in environ]
    )
    return RequestView(headers, environ.get("REMOTE_ADDR"), _target(environ) if target else None)


def _every_header(environ: WSGIEnvironment) -> Iterator[tuple[str, str]]:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield key[5:].replace("_", "-").lower(), value


def _target(environ: WSGIEnvironment) -> SignedTarget | None:
    if "HTTP_SCRIPT_NAME" in environ:
        # Some servers let a header move the root of the path: what is routed is then not what was signed.
        return None
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw is None:
        # A server that keeps neither shows the path decoded only; quoting it again is right for most paths, and a
        # wrong guess is refused, not believed.
        path = quote((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"))
        query = environ.get("QUERY_STRING", "")
        raw = f"{path}?{query}" if query else path
    return request_target(environ["REQUEST_METHOD"], environ.get("HTTP_HOST", ""), raw)


def replace_headers(environ: WSGIEnvironment, headers: Sequence[tuple[str, str]]) -> None:
    """Make *headers* the only identity headers that the application sees."""
    for name, _ in list(_every_header(environ)):
        if not strip_identity_headers([(name, "")]):
            del environ[f"HTTP_{name.upper().replace('-', '_')}"]
    for name, value in headers:
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value


def exchange_of(environ: WSGIEnvironment) -> Exchange:
    """Return the exchange of a request; a request that did not come through the gate's middleware has none."""
    exchange: Exchange = environ[EXCHANGE]
    return exchange


def context_of(environ: WSGIEnvironment) -> SecurityContext | None:
    """Return the context of a request, for WSGI middleware that stands before the gate's.

    Args:
        environ: the WSGI environment, `request.environ` in a view.
    """
    exchange = environ.get(EXCHANGE)
    return exchange.identity.context if isinstance(exchange, Exchange) else None


def response_of(reply: Reply) -> Response:
    """Return a finished reply as Flask's response."""
    response = Response(reply.body, reply.status, list(reply.headers))
    if not reply.body:
        # Flask names the type of a body that is not there.
        del response.headers["Content-Type"]
    return response


def api_error_of(error: HTTPException) -> ApiError:
    """Return Werkzeug's HTTP error in our form: its status, the code of that status, the handler's description."""
    # A missing form field has a text of its own class, which is still the framework's.
    own = isinstance(error, BadRequestKeyError) or error.description == type(error).description
    headers: Iterable[Any] = error.get_headers()
    return framework_error(error.code or 500, None if own else error.description, headers)
