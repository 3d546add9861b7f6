"""Putting a gate in front of an application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from tenaudit._kernel.error import ConfigurationError
from tenaudit.adapters.starlette.middleware import GateMiddleware

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from tenaudit.gate import Gate

__all__ = ["install"]


def install(app: Starlette, gate: Gate, *, undeclared: str = "refuse") -> None:
    """Put *gate* in front of every route of *app*.

    Args:
        app: a Starlette or FastAPI application.
        gate: what decides.
        undeclared: what to do with a route that declares nothing: `"refuse"` to start,
            or `"identify"`: serve it to anyone with an identity, and say so in the log.

    Raises:
        ConfigurationError: *undeclared* is neither.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from starlette.applications import Starlette
        >>> from tenaudit.adapters.starlette import internal_routes
        >>> from tenaudit.gate import Gate
        >>> app = Starlette(routes=internal_routes(gate := Gate("orders", registry=CollectorRegistry())))
        >>> install(app, gate)
    """
    if undeclared not in ("refuse", "identify"):
        raise ConfigurationError(f'undeclared must be "refuse" or "identify", not {undeclared!r}')
    app.add_middleware(GateMiddleware, gate=gate, routes=app.router.routes, undeclared=undeclared)
    # Starlette would answer in plain text; raising on lets the middleware answer for every error alike.
    app.add_exception_handler(HTTPException, _raise_on)


async def _raise_on(_request: Request, error: Exception) -> Response:
    raise error
