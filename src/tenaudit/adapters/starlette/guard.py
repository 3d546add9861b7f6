"""Between the router and a handler: where the route is known and nothing of the handler has run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute

from tenaudit._kernel.error import ConfigurationError
from tenaudit.adapters.starlette.exchange import EXCHANGE, Exchange
from tenaudit.adapters.starlette.wire import encoded
from tenaudit.gate import Gate, RouteRule, declared
from tenaudit.ratelimit import rate_limit_headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["GuardedRoute", "guard_routes"]

_log = logging.getLogger("tenaudit.gate")


class GuardedRoute:
    """Stands between the router and a handler: the route is known here, and nothing of the handler has run."""

    __slots__ = ("_app", "_gate", "_rule", "_template")

    def __init__(self, app: ASGIApp, gate: Gate, rule: RouteRule, template: str) -> None:
        self._app = app
        self._gate = gate
        self._rule = rule
        self._template = template

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Ask for admission, then serve; returns what is to be awaited, which costs no coroutine of its own."""
        exchange: Exchange = scope[EXCHANGE]
        exchange.template = self._template
        if self._gate.is_limited:
            return self._limited(exchange, scope, receive, send)
        self._gate.ensure(exchange.identity, self._rule)
        return self._app(scope, receive, send)

    async def _limited(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        admission = exchange.admission = await self._gate.admit(exchange.identity, self._rule)
        if admission.rate is not None:
            exchange.rate_headers = encoded(rate_limit_headers(admission.rate))
        await self._app(scope, receive, send)


def guard_routes(routes: Sequence[BaseRoute], prefix: str, gate: Gate, undeclared: str) -> None:
    """Put a guard before every handler that has none yet.

    Raises:
        ConfigurationError: a route declares nothing, or is of a kind that cannot be guarded.
    """
    for route in routes:
        if isinstance(route, Mount) and route.routes:
            guard_routes(route.routes, prefix + route.path, gate, undeclared)
        elif isinstance(route, Host) and route.routes:
            guard_routes(route.routes, prefix, gate, undeclared)
        elif isinstance(route, Route | WebSocketRoute | Mount | Host):
            if not isinstance(route.app, GuardedRoute):
                path = prefix + getattr(route, "path", "")
                rule = _rule_of(route, path, undeclared)
                route.app = GuardedRoute(route.app, gate, rule, path)
        else:
            raise ConfigurationError(f"a {type(route).__name__} cannot be guarded; declare its handlers as routes")


def _rule_of(route: BaseRoute, path: str, undeclared: str) -> RouteRule:
    handler = getattr(route, "endpoint", None) or getattr(route, "app", None)
    rule = declared(handler)
    if rule is not None:
        return rule
    if undeclared == "refuse":
        raise ConfigurationError(
            f'route {path} declares nothing: decorate its handler with require("..."), authenticated() or public()'
        )
    _log.warning(
        "a route declares nothing and is served to any identity", extra={"action": "route_undeclared", "route": path}
    )
    return RouteRule()
