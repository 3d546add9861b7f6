"""A router's list of routes that lets none in without a guard, however late it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, SupportsIndex

from starlette.routing import BaseRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["GuardedRoutes"]


class GuardedRoutes(list[BaseRoute]):
    """Calls *guard* with every route before it becomes part of the list.

    Args:
        routes: the routes so far.
        guard: puts a guard before the route's handler, or raises.
    """

    def __init__(self, routes: Iterable[BaseRoute], guard: Callable[[BaseRoute], None]) -> None:
        self._guards = [guard]
        super().__init__(self._guarded(routes))

    def also(self, guard: Callable[[BaseRoute], None]) -> None:
        """Call *guard* too, with the routes so far and with those to come: the router is reached in another way."""
        for route in self:
            guard(route)
        self._guards.append(guard)

    def _guarded(self, routes: Iterable[BaseRoute]) -> list[BaseRoute]:
        checked = list(routes)
        for route in checked:
            for guard in self._guards:
                guard(route)
        return checked

    def append(self, route: BaseRoute) -> None:
        """Add a route at the end."""
        super().extend(self._guarded((route,)))

    def insert(self, index: SupportsIndex, route: BaseRoute) -> None:
        """Add a route before another."""
        super().insert(index, *self._guarded((route,)))

    def extend(self, routes: Iterable[BaseRoute]) -> None:
        """Add routes at the end."""
        super().extend(self._guarded(routes))

    def __iadd__(self, routes: Iterable[BaseRoute]) -> Self:  # type: ignore[misc, override]
        self.extend(routes)
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, self._guarded(value) if isinstance(index, slice) else self._guarded((value,))[0])
