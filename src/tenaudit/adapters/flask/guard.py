"""Before every view: where the route is known and nothing of the view has run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import request
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed

from tenaudit.adapters.flask.portal import answer_of
from tenaudit.adapters.flask.wire import api_error_of, exchange_of, response_of
from tenaudit.errors import ApiError
from tenaudit.gate import Declarations, RouteRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from werkzeug.routing import Rule
    from werkzeug.wrappers import Response

    from tenaudit.gate import Exchange, Gate

__all__ = ["Guard"]


class Guard:
    """Asks for admission before each view of an application, and answers what is raised.

    Args:
        app: the application.
        gate: what decides.
        declarations: what its routes declare.
    """

    def __init__(self, app: Flask, gate: Gate, declarations: Declarations) -> None:
        self._app = app
        self._gate = gate
        self._declarations = declarations
        self._found: dict[tuple[str, str, str], tuple[object, RouteRule]] = {}

    def check(self) -> None:
        """Find the rule of every route.

        Raises:
            ConfigurationError: a route declares nothing.
        """
        for route in self._app.url_map.iter_rules():
            if route.endpoint in self._app.view_functions:
                for method in route.methods or ("GET",):
                    self._rule(route, method)

    def admit(self, _endpoint: str | None, _values: dict[str, Any] | None) -> None:
        """Let the request through to its view, or raise.

        It is the first of the application's `url_value_preprocessors`, which run before anything else of the user's.

        Raises:
            HTTPException: a finished refusal: 401 or 400 for the identity, 429 for the rate, 403 for the capability.
                It is a response already, so that no error handler of the application's can make another of it.
        """
        exchange = exchange_of(request.environ)
        try:
            self._admit(exchange)
        except ApiError as refusal:
            raise HTTPException(response=self._reply(exchange, refusal)) from refusal

    def _admit(self, exchange: Exchange) -> None:
        route = request.url_rule
        if route is None:
            # Identity comes before the route; the router's own error is raised next. OPTIONS is answered to anyone.
            asks_options = request.method == "OPTIONS" and isinstance(request.routing_exception, MethodNotAllowed)
            if exchange.identity.refusal is not None and not asks_options:
                raise exchange.identity.refusal
            return
        if request.method == "OPTIONS" and getattr(route, "provide_automatic_options", False):
            return
        rule = self._rule(route, request.method)
        exchange.template = route.rule
        gate = self._gate
        if not gate.is_limited:
            gate.ensure(exchange.identity, rule)
            return
        if gate.limits.is_immediate:
            exchange.admitted(gate.admit_nowait(exchange.identity, rule))
        else:
            exchange.admitted(answer_of(gate.admit(exchange.identity, rule), gate.deadline))

    def options(self, *_context: Any) -> Response:
        """Answer OPTIONS of a route without a view for it, in the place of Flask's own answer."""
        return response_of(exchange_of(request.environ).options(self._methods()))

    def answer(self, error: Exception) -> Response:
        """Answer what a view or the router raised: an error in our shape, a redirect or a ready response as it is."""
        exchange = exchange_of(request.environ)
        if isinstance(error, InternalServerError) and error.original_exception is not None:
            # Raised after the view, by a function that works on its response.
            return self._reply(exchange, _exception(error.original_exception))
        if not isinstance(error, HTTPException):
            return self._reply(exchange, error)
        if error.response is not None or (error.code or 500) < 400:
            return error.get_response(request.environ)
        if request.method == "OPTIONS" and error is request.routing_exception and isinstance(error, MethodNotAllowed):
            return self.options()
        return self._reply(exchange, api_error_of(error))

    def _reply(self, exchange: Exchange, error: Exception) -> Response:
        return response_of(exchange.reply(error, request.headers.get("Accept", "")))

    def _methods(self) -> set[str]:
        adapter = self._app.create_url_adapter(request)
        return set() if adapter is None else set(adapter.allowed_methods())

    def _rule(self, route: Rule, method: str) -> RouteRule:
        view = self._app.view_functions[route.endpoint]
        if route.methods is None:
            method = _declared_method(view, method)
        key = (route.rule, route.endpoint, method)
        found = self._found.get(key)
        # A view that was swapped for another is asked again.
        if found is None or found[0] is not view:
            rule = (
                RouteRule()
                if self._serves_no_file(route)
                else self._declarations.of(route.rule, view, route.methods or (method,))[method]
            )
            found = view, rule
            self._found[key] = found
        return found[1]

    def _serves_no_file(self, route: Rule) -> bool:
        """Tell whether this is the route that Flask adds by itself for a folder that is not there."""
        folder = self._app.static_folder
        return route.endpoint == "static" and folder is not None and not Path(folder).is_dir()


def _declared_method(view: object, method: str) -> str:
    """Return by which method a view of a route for any method declares itself; `*` stands for all without own code."""
    view_class = getattr(view, "view_class", None)
    if method == "HEAD" and not hasattr(view_class, "head"):
        method = "GET"
    return method if hasattr(view_class, method.lower()) else "*"


def _exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else ApiError.internal()


def guarded_adding(guard: Guard, add: Callable[..., None]) -> Callable[..., None]:
    """Return *add* of routes such that a route without a declaration is refused when it is added."""

    def add_url_rule(*args: Any, **options: Any) -> None:
        add(*args, **options)
        guard.check()

    return add_url_rule
