"""Between the router and a handler: where the route is known and nothing of the handler has run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute

from tenaudit._kernel.error import ConfigurationError
from tenaudit.adapters.starlette.allowed import ANY, methods_of
from tenaudit.adapters.starlette.exchange import answer_http_exception, answer_of
from tenaudit.adapters.starlette.guarded_routes import GuardedRoutes
from tenaudit.adapters.starlette.wire import EXCHANGE, send_reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from tenaudit.gate import Declarations, Exchange, Gate, RouteRule

__all__ = ["GuardedRoute", "Guardian"]


class GuardedRoute:
    """Stands before a handler and asks for admission.

    Args:
        app: the handler.
        gate: what decides.
        rules: what it declares, for each of its methods.
        template: the route's path.
    """

    __slots__ = ("_app", "_gate", "_rules", "_template")

    def __init__(self, app: ASGIApp, gate: Gate, rules: Mapping[str, RouteRule], template: str) -> None:
        self._app = app
        self._gate = gate
        self._rules = rules
        self._template = template

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Ask for admission, then serve; returns what is to be awaited, which costs no coroutine of its own."""
        exchange: Exchange = scope[EXCHANGE]
        rule = self._rules.get(scope.get("method", ANY)) or self._rules.get(ANY)
        if rule is None:
            # A class view is asked for a method that it has no code for; it was not entered, so nothing was asked.
            raise HTTPException(405)
        exchange.template = self._template
        gate = self._gate
        if not gate.is_limited:
            gate.ensure(exchange.identity, rule)
        elif gate.limits.is_immediate:
            exchange.admitted(gate.admit_nowait(exchange.identity, rule))
        else:
            return self._waiting(exchange, rule, scope, receive, send)
        return self._app(scope, receive, send)

    async def _waiting(self, exchange: Exchange, rule: RouteRule, scope: Scope, receive: Receive, send: Send) -> None:
        exchange.admitted(await self._gate.admit(exchange.identity, rule))
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
            await send_reply(answer_of(exchange, error, scope), send)


class Guardian:
    """Puts guards before the handlers of an application and of everything mounted in it.

    Args:
        gate: what decides.
        declarations: what the routes declare.
    """

    def __init__(self, gate: Gate, declarations: Declarations) -> None:
        self._gate = gate
        self._declarations = declarations

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
            guarded = GuardedRoute(route.app, self._gate, self._rules_of(route, path), path)
            route.app = _SubApplicationRoute(guarded) if sub_application else guarded

    def _rules_of(self, route: BaseRoute, path: str) -> dict[str, RouteRule]:
        handler = getattr(route, "endpoint", None) or getattr(route, "app", None)
        return self._declarations.of(path, handler, methods_of(route))
