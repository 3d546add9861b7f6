"""What the routes of an application declare, its sub-applications included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from tenaudit.gate import Declarations, class_methods

if TYPE_CHECKING:
    from aiohttp.web_urldispatcher import AbstractRoute

    from tenaudit.gate import RouteRule

__all__ = ["Guard"]

_ANY = "*"


class Guard:
    """Knows the rule of every route.

    Args:
        declarations: what the routes declare.
    """

    def __init__(self, declarations: Declarations) -> None:
        self._declarations = declarations
        self._found: dict[AbstractRoute, dict[str, RouteRule]] = {}

    def check(self, app: web.Application) -> None:
        """Find the rule of every route.

        Raises:
            ConfigurationError: a route declares nothing.
        """
        for route in app.router.routes():
            self._found[route] = self._declarations.of(template_of(route), route.handler, _methods(route))

    def rule(self, route: AbstractRoute, method: str) -> RouteRule:
        """Return the rule of a route for a method.

        Raises:
            HTTPMethodNotAllowed: a class view has no code for the method.
            ConfigurationError: the route declares nothing.
        """
        found = self._found.get(route)
        rule = None if found is None else found.get(method) or found.get(_ANY)
        if rule is not None:
            return rule
        methods = class_methods(route.handler)
        if methods is not None and method not in methods:
            raise web.HTTPMethodNotAllowed(method, methods)
        # A route that came after the check.
        return self._declarations.of(template_of(route), route.handler, (method,))[method]


def template_of(route: AbstractRoute) -> str:
    """Return the path template of a route, sub-application prefixes included."""
    return "" if route.resource is None else route.resource.canonical


def _methods(route: AbstractRoute) -> frozenset[str]:
    if route.method != _ANY:
        return frozenset({route.method})
    # A function for any method does the same for OPTIONS as for others: one declaration for all.
    return class_methods(route.handler) or frozenset({_ANY})
