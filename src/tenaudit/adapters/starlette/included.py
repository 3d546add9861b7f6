"""Routers that FastAPI includes by reference: it makes their routes anew, with the prefix, when they are first asked.

Older releases of FastAPI copied the routes of an included router into the application, where they are routes like any
other. Newer ones keep the router and build candidates of its routes; these are what a request reaches, and what must
be guarded. A router without what is read here is refused, as every kind of route that is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from tenaudit.adapters.starlette.guarded_routes import GuardedRoutes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from starlette.routing import BaseRoute

__all__ = ["IncludedRouter", "each_route", "guard_included"]


@runtime_checkable
class IncludedRouter(Protocol):
    """What is read of FastAPI's included router."""

    original_router: Any
    include_context: Any

    def effective_candidates(self) -> list[Any]:
        """Return what stands for its routes, made anew when the router has changed."""

    def effective_route_contexts(self) -> Iterator[Any]:
        """Return the same, in the place of nested routers what stands for theirs."""


def guard_included(
    included: IncludedRouter, guard: Callable[[Any], None], check: Callable[[BaseRoute, str], None]
) -> None:
    """Guard what *included* makes of its routes, now and whenever it makes them anew.

    Args:
        included: the router.
        guard: puts a guard before the handler of what a request reaches, or raises.
        check: raises for a route, behind a prefix, that declares nothing; asked when one is added later.
    """
    _check_later(included.original_router, included.include_context.prefix, check)
    _guard_candidates(included, guard)


def _guard_candidates(included: IncludedRouter, guard: Callable[[Any], None]) -> None:
    make = included.effective_candidates
    seen: list[Any] | None = None

    def effective_candidates() -> list[Any]:
        nonlocal seen
        candidates = make()
        if candidates is not seen:
            for candidate in candidates:
                if isinstance(candidate, IncludedRouter):
                    _guard_candidates(candidate, guard)
                else:
                    guard(_route_of(candidate))
            seen = candidates
        return candidates

    included.effective_candidates = effective_candidates  # type: ignore[method-assign]
    effective_candidates()


class _CheckedRoutes(GuardedRoutes):
    """The routes of a router that is included at one prefix or at several."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._checks: list[Callable[[BaseRoute], None]] = []
        super().__init__(routes, self._check)

    def _check(self, route: BaseRoute) -> None:
        for check in self._checks:
            check(route)

    def ask(self, check: Callable[[BaseRoute], None]) -> None:
        for route in self:
            check(route)
        self._checks.append(check)


def _check_later(router: Any, prefix: str, check: Callable[[BaseRoute, str], None]) -> None:
    def look(route: BaseRoute) -> None:
        if isinstance(route, IncludedRouter):
            _check_later(route.original_router, prefix + route.include_context.prefix, check)
        else:
            check(route, prefix)

    if not isinstance(router.routes, _CheckedRoutes):
        router.routes = _CheckedRoutes(router.routes)
    router.routes.ask(look)


def each_route(routes: Iterable[Any]) -> Iterator[Any]:
    """Return *routes*, in the place of an included router what it made of its own."""
    for route in routes:
        if isinstance(route, IncludedRouter):
            yield from (_route_of(candidate) for candidate in route.effective_route_contexts())
        else:
            yield route


def _route_of(candidate: Any) -> Any:
    # FastAPI's own routes are served by the candidate itself, others by the Starlette route that it holds.
    return candidate.starlette_route or candidate
