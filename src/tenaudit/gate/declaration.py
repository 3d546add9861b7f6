"""What a handler declares of itself: `require(capability)`, `authenticated()` or `public()`, in every framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from tenaudit._kernel.error import ConfigurationError
from tenaudit.gate.message import RouteRule

__all__ = ["Declaration", "authenticated", "class_methods", "declared", "public", "require"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])
_MARK = "__tenaudit_rule__"
_WRAPPERS = 16


class Declaration:
    """Marks handlers with a rule: a decorator, and a value for `install(rules=...)`.

    Args:
        rule: what the handler declares.

    Example:
        >>> Declaration(RouteRule(is_public=True)).rule.is_public
        True
    """

    __slots__ = ("rule",)

    def __init__(self, rule: RouteRule) -> None:
        self.rule = rule

    def __call__(self, handler: _Handler) -> _Handler:
        """Mark *handler* and return it.

        Raises:
            ConfigurationError: it is marked already with another rule, or takes no mark.
        """
        # Read from the object's own namespace: a class view inherits the mark of its base and may replace it.
        if getattr(handler, "__dict__", {}).get(_MARK, self.rule) != self.rule:
            raise ConfigurationError(f"{handler!r} is declared twice, with different rules")
        try:
            setattr(handler, _MARK, self.rule)
        except AttributeError:
            raise ConfigurationError(f"{handler!r} takes no mark; name its route in install(..., rules=)") from None
        return handler


def require(capability: str) -> Declaration:
    """Declare the capability that a handler's callers must hold.

    Example:
        >>> @require("payment_process")
        ... async def charge(request): ...
        >>> declared(charge).capability
        'payment_process'
    """
    if not capability:
        raise ConfigurationError("require() needs the name of a capability; use authenticated() or public() without")
    return Declaration(RouteRule(str(capability)))


def authenticated() -> Declaration:
    """Declare that any identity is enough: the handler, or a service behind it, decides the rest."""
    return Declaration(RouteRule())


def public() -> Declaration:
    """Declare that a handler is served without an identity: health checks, login pages, public catalogues."""
    return Declaration(RouteRule(is_public=True))


def declared(handler: object, method: str | None = None) -> RouteRule | None:
    """Return what *handler* declares, looking through `functools.partial` and wrappers; None for nothing.

    A class view may declare each of its methods on its own (`def get`, `async def post`), which comes before what
    the class declares; HEAD is served by `get` where there is no `head`.

    Args:
        handler: a function, a class view, or what a framework made of either.
        method: the HTTP method in upper case, for class views.
    """
    for layer in _layers(handler):
        rule = _of_method(layer, method) if method is not None else None
        if rule is None:
            rule = getattr(layer, _MARK, None)
        if isinstance(rule, RouteRule):
            return rule
    return None


def _layers(handler: object) -> Iterator[object]:
    seen = handler
    for _ in range(_WRAPPERS):
        yield seen
        seen = getattr(seen, "func", None) or getattr(seen, "__wrapped__", None)
        if seen is None:
            return


def class_methods(handler: object) -> frozenset[str] | None:
    """Return the methods that a class view has code for, None for a function.

    Example:
        >>> class Order:
        ...     async def get(self): ...
        >>> class_methods(Order), class_methods(print)
        (frozenset({'GET'}), None)
    """
    while isinstance(handler, partial):
        handler = handler.func
    if not isinstance(handler, type):
        return None
    return frozenset(method for method in _VERBS if hasattr(handler, method.lower()))


_VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def _of_method(handler: object, method: str) -> RouteRule | None:
    # Flask wraps a class view into a function that remembers the class.
    view = getattr(handler, "view_class", handler)
    if not isinstance(view, type):
        return None
    member = getattr(view, method.lower(), None)
    if member is None and method == "HEAD":
        member = getattr(view, "get", None)
    return None if member is None else declared(member)
