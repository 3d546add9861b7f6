"""Putting a gate in front of an application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.adapters.aiohttp.guard import Guard
from tenaudit.adapters.aiohttp.middleware import gate_middleware, preparing
from tenaudit.gate import Declarations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from tenaudit.gate import Declaration, Gate

__all__ = ["install"]


def install(
    app: web.Application,
    gate: Gate,
    *,
    undeclared: str = "refuse",
    rules: Mapping[str, Declaration] | None = None,
) -> None:
    """Put *gate* in front of every route of *app* and of its sub-applications, those that are added later included.

    Args:
        app: an application that has not started yet.
        gate: what decides.
        undeclared: what to do with a route that declares nothing: `"refuse"` to start, or `"identify"`: serve it to
            anyone with an identity, and say so in the log.
        rules: declarations of routes whose handlers cannot be decorated, by the route's canonical path, such as
            `{"/static": public()}`.

    Raises:
        ConfigurationError: *undeclared* is neither, or a route declares nothing and that is refused; routes that are
            added later are checked when the application starts.

    Example:
        >>> from aiohttp import web
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.adapters.aiohttp import internal_routes
        >>> from tenaudit.gate import Gate
        >>> app = web.Application()
        >>> app.add_routes(internal_routes(gate := Gate("orders", registry=CollectorRegistry())))
        [...]
        >>> install(app, gate)
    """
    guard = Guard(Declarations(gate, undeclared, rules))
    guard.check(app)

    async def check(app: web.Application) -> None:
        guard.check(app)

    app.on_startup.insert(0, check)
    app.middlewares.insert(0, gate_middleware(gate, guard))
    app.on_response_prepare.append(preparing(gate))
