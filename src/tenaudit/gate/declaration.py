"""What a handler declares of itself: `require(capability)`, `authenticated()` or `public()`, in every framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tenaudit._kernel.error import ConfigurationError
from tenaudit.gate.message import RouteRule

__all__ = ["authenticated", "declared", "public", "require"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])
_MARK = "__tenaudit_rule__"
_WRAPPERS = 16


def require(capability: str) -> Callable[[_Handler], _Handler]:
    """Declare the capability that a handler's callers must hold.

    Example:
        >>> @require("payment_process")
        ... async def charge(request): ...
        >>> declared(charge).capability
        'payment_process'
    """
    if not capability:
        raise ConfigurationError("require() needs the name of a capability; use authenticated() or public() without")
    return _marker(RouteRule(str(capability)))


def authenticated() -> Callable[[_Handler], _Handler]:
    """Declare that any identity is enough: the handler, or a service behind it, decides the rest."""
    return _marker(RouteRule())


def public() -> Callable[[_Handler], _Handler]:
    """Declare that a handler is served without an identity: health checks, login pages, public catalogues."""
    return _marker(RouteRule(is_public=True))


def _marker(rule: RouteRule) -> Callable[[_Handler], _Handler]:
    def mark(handler: _Handler) -> _Handler:
        if getattr(handler, _MARK, rule) != rule:
            raise ConfigurationError(f"{handler!r} is declared twice, with different rules")
        setattr(handler, _MARK, rule)
        return handler

    return mark


def declared(handler: object) -> RouteRule | None:
    """Return what *handler* declares, looking through `functools.partial` and wrappers; None for nothing."""
    seen = handler
    for _ in range(_WRAPPERS):
        rule = getattr(seen, _MARK, None)
        if isinstance(rule, RouteRule):
            return rule
        inner = getattr(seen, "func", None) or getattr(seen, "__wrapped__", None)
        if inner is None:
            return None
        seen = inner
    return None
