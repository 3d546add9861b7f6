"""Putting a gate in front of an application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from tenaudit.adapters.starlette.exchange import answer_http_exception
from tenaudit.adapters.starlette.guard import Guardian
from tenaudit.adapters.starlette.middleware import GateMiddleware
from tenaudit.adapters.starlette.validation import register_validation
from tenaudit.gate import Declarations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.applications import Starlette

    from tenaudit.gate import Declaration, Gate

__all__ = ["install"]


def install(
    app: Starlette, gate: Gate, *, undeclared: str = "refuse", rules: Mapping[str, Declaration] | None = None
) -> None:
    """Put *gate* in front of every route of *app*, those that are added later included.

    Args:
        app: a Starlette or FastAPI application that has not served yet.
        gate: what decides.
        undeclared: what to do with a route that declares nothing: `"refuse"` it when it is added, or
            `"identify"`: serve it to anyone with an identity, and say so in the log.
        rules: declarations of routes whose handlers cannot be decorated, by path, such as `{"/docs": public()}`.

    Raises:
        ConfigurationError: *undeclared* is neither, or a route declares nothing and that is refused.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from starlette.applications import Starlette
        >>> from tenaudit.adapters.starlette import internal_routes
        >>> from tenaudit.gate import Gate
        >>> app = Starlette(routes=internal_routes(gate := Gate("orders", registry=CollectorRegistry())))
        >>> install(app, gate)
    """
    Guardian(gate, Declarations(gate, undeclared, rules)).take(app.router)
    app.add_middleware(GateMiddleware, gate=gate, guarded=app)
    # Starlette would answer in plain text; every error has the same shape here.
    app.add_exception_handler(HTTPException, answer_http_exception)
    register_validation(app)
