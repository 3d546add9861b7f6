"""Between the router and a handler: where the route is known and nothing of the handler has run."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute

from tenaudit._kernel.error import ConfigurationError
from tenaudit.adapters.starlette.exchange import EXCHANGE, Exchange, answer_http_exception
from tenaudit.adapters.starlette.guarded_routes import GuardedRoutes
from tenaudit.adapters.starlette.wire import encoded, send_reply
from tenaudit.gate import Gate, RouteRule, declared
from tenaudit.ratelimit import rate_limit_headers

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["GuardedRoute", "Guardian"]

_log = logging.getLogger("tenaudit.gate")


class GuardedRoute:
    """Stands before a handler and asks for admission."""

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


class _SubApplicationRoute:
    """A guarded route of a mounted application, whose own error handling would answer in plain text."""

    __slots__ = ("_guarded",)

    def __init__(self, guarded: GuardedRoute) -> None:
        self._guarded = guarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[EXCHANGE]
        try:
            await self._guarded(scope, receive, send)
        except HTTPException:
            raise
        except Exception as error:
            if exchange.status or scope["type"] != "http":
                raise
            await send_reply(exchange.reply(error, scope), send)


class Guardian:
    """Puts guards before the handlers of an application and of everything mounted in it.

    Args:
        gate: what decides.
        undeclared: `"refuse"` or `"identify"`, as `install` explains.
    """

    def __init__(self, gate: Gate, undeclared: str) -> None:
        self._gate = gate
        self._undeclared = undeclared

    def take(self, router: Router, prefix: str = "", *, sub_application: bool = False) -> None:
        """Guard every route of *router*, and every one that will be added.

        Raises:
            ConfigurationError: a route declares nothing, or is of a kind that cannot be guarded.
        """
        if not isinstance(router.routes, GuardedRoutes):
            guard = partial(self._guard, prefix=prefix, sub_application=sub_application)
            router.routes = GuardedRoutes(router.routes, guard)

    def _guard(self, route: BaseRoute, *, prefix: str, sub_application: bool) -> None:
        if not isinstance(route, Route | WebSocketRoute | Mount | Host):
            raise ConfigurationError(f"a {type(route).__name__} cannot be guarded; declare its handlers as routes")
        path = prefix + getattr(route, "path", "")
        # A mount with middleware of its own keeps what it mounts under another name.
        inner = getattr(route, "_base_app", route.app)
        if isinstance(inner, Starlette):
            inner.add_exception_handler(HTTPException, answer_http_exception)
            self.take(inner.router, path, sub_application=True)
        elif isinstance(inner, Router):
            self.take(inner, path, sub_application=sub_application)
        elif not isinstance(route.app, GuardedRoute | _SubApplicationRoute):
            guarded = GuardedRoute(route.app, self._gate, self._rule_of(route, path), path)
            route.app = _SubApplicationRoute(guarded) if sub_application else guarded

    def _rule_of(self, route: BaseRoute, path: str) -> RouteRule:
        rule = declared(getattr(route, "endpoint", None) or getattr(route, "app", None))
        if rule is not None:
            return rule
        if self._undeclared == "refuse":
            raise ConfigurationError(
                f'route {path} declares nothing: decorate its handler with require("..."), authenticated() or public()'
            )
        _log.warning(
            "a route declares nothing and is served to any identity",
            extra={"action": "route_undeclared", "route": path},
        )
        return RouteRule()
