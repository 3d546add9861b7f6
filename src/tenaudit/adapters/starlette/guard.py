"""Between the router and a handler: where the route is known and nothing of the handler has run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute

from tenaudit._kernel.error import ConfigurationError
from tenaudit.adapters.starlette.allowed import ANY, methods_of
from tenaudit.adapters.starlette.exchange import answer_http_exception, answer_of
from tenaudit.adapters.starlette.guarded_routes import GuardedRoutes
from tenaudit.adapters.starlette.included import IncludedRouter, guard_included
from tenaudit.adapters.starlette.validation import register_validation
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

    @property
    def app(self) -> ASGIApp:
        """The handler."""
        return self._app

    def ensure_same(self, gate: Gate, rules: Mapping[str, RouteRule], template: str) -> None:
        """Check a second way to the same route object, which has one guard.

        Raises:
            ConfigurationError: another gate decides there, or by other rules.
        """
        if gate is not self._gate or rules != self._rules:
            raise ConfigurationError(
                f"the route {template} is guarded already as {self._template}, by another gate or with other rules; "
                "make a route of its own for each"
            )

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

    __slots__ = ("guarded",)

    def __init__(self, guarded: GuardedRoute) -> None:
        self.guarded = guarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[EXCHANGE]
        try:
            await self.guarded(scope, receive, send)
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
            ConfigurationError: a route declares nothing, or is of a kind that cannot be guarded; or the router has
                a handler for everything else.
        """
        if router.default != router.not_found:
            raise ConfigurationError("a router's default handler cannot be guarded; declare it as a last route")
        guard = partial(self._guard, prefix=prefix, sub_application=sub_application)
        if isinstance(router.routes, GuardedRoutes):
            router.routes.also(guard)
        else:
            router.routes = GuardedRoutes(router.routes, guard)

    def _guard(self, route: BaseRoute, *, prefix: str, sub_application: bool) -> None:
        if isinstance(route, IncludedRouter):
            guard = partial(self._guard_made, prefix=prefix, sub_application=sub_application)
            guard_included(route, guard, partial(self._check, outer=prefix))
            return
        if not isinstance(route, Route | WebSocketRoute | Mount | Host):
            raise ConfigurationError(f"a {type(route).__name__} cannot be guarded; declare its handlers as routes")
        path = prefix + getattr(route, "path", "")
        # A mount with middleware of its own keeps what it mounts under another name.
        inner = getattr(route, "_base_app", route.app)
        if isinstance(inner, Starlette):
            _answer_as_one(inner)
            self.take(inner.router, path, sub_application=True)
        elif isinstance(inner, Router):
            self.take(inner, path, sub_application=sub_application)
        else:
            self._stand_before(route, path, sub_application=sub_application)

    def _guard_made(self, made: Any, *, prefix: str, sub_application: bool) -> None:
        """Guard what an included router made of one of its routes: a route, or what stands for one."""
        if isinstance(made, BaseRoute):
            self._guard(made, prefix=prefix, sub_application=sub_application)
        else:
            self._stand_before(made, prefix + made.path, sub_application=sub_application)

    def _stand_before(self, route: Any, path: str, *, sub_application: bool) -> None:
        present = _guarded_of(route)
        rules = self._rules_of(route, path)
        if present is not None:
            present.ensure_same(self._gate, rules, path)
            return
        guarded = GuardedRoute(route.app, self._gate, rules, path)
        route.app = _SubApplicationRoute(guarded) if sub_application else guarded

    def _check(self, route: BaseRoute, prefix: str, *, outer: str) -> None:
        if isinstance(route, Route | WebSocketRoute):
            self._rules_of(route, outer + prefix + route.path)

    def _rules_of(self, route: Any, path: str) -> dict[str, RouteRule]:
        handler = getattr(route, "endpoint", None) or (_guarded_of(route) or route).app
        return self._declarations.of(path, handler, methods_of(route))


def _guarded_of(route: Any) -> GuardedRoute | None:
    app = route.app.guarded if isinstance(route.app, _SubApplicationRoute) else route.app
    return app if isinstance(app, GuardedRoute) else None


def _answer_as_one(inner: Starlette) -> None:
    """Make a mounted application answer errors as the one that it is mounted in."""
    inner.add_exception_handler(HTTPException, answer_http_exception)
    register_validation(inner)
    # What its own middleware raises: its plain text, or with `debug` its traceback, would be the answer.
    if not inner.exception_handlers.keys() & {500, Exception}:
        inner.add_exception_handler(Exception, answer_http_exception)
        inner.debug = False
