"""Which methods a path has, over all routes that fit it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Match, Route

from tenaudit.adapters.starlette.included import each_route
from tenaudit.adapters.starlette.wire import ROUTES
from tenaudit.gate import class_methods

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Scope

__all__ = ["ANY", "allowed_methods", "methods_of"]

# Stands for every method: an application that is mounted as a route, or a WebSocket's handshake.
ANY = "*"


def allowed_methods(scope: Scope) -> set[str]:
    """Return the methods of every route that fits the path of *scope*, in mounted applications too."""
    # A mount moves the root; the walk begins where the application did.
    root = scope.get("app_root_path", scope.get("root_path", ""))
    start = {"type": "http", "method": scope["method"], "path": scope["path"], "root_path": root}
    return set(_walk(scope[ROUTES], {**start, "headers": scope["headers"]}))


def _walk(routes: Iterable[BaseRoute], scope: Scope) -> Iterable[str]:
    for route in each_route(routes):
        match, child = route.matches(scope)
        if match is Match.NONE:
            continue
        if isinstance(route, Route) or not isinstance(route, BaseRoute):
            yield from methods_of(route)
        yield from _walk(getattr(route, "routes", None) or (), {**scope, **child})


def methods_of(route: BaseRoute) -> frozenset[str]:
    """Return the methods of one route: what it names, else what its class view has code for, else `ANY`."""
    methods = getattr(route, "methods", None)
    if methods:
        return frozenset(methods)
    found = class_methods(getattr(route, "endpoint", None))
    if found is None:
        return frozenset({ANY})
    # Starlette serves HEAD by `get`.
    return found | {"HEAD"} if "GET" in found else found
