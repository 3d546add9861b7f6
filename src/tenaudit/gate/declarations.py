"""The rules of all routes of one application: nothing is served that says nothing of itself."""

from __future__ import annotations

import logging
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.gate.declaration import Declaration, declared
from tenaudit.gate.message import RouteRule
from tenaudit.policy import MatrixEngine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tenaudit.gate.gate import Gate

__all__ = ["Declarations"]

_log = logging.getLogger("tenaudit.gate")
_OPTIONS = frozenset({"OPTIONS"})


class Declarations:
    """Finds the rule of each route, and refuses routes without one.

    Args:
        gate: whose policy should know the capabilities.
        undeclared: `"refuse"` a route that declares nothing, or `"identify"`: serve it to any identity, and say so
            in the log.
        rules: rules of routes whose handlers cannot be decorated, by route template.

    Raises:
        ConfigurationError: *undeclared* is neither, or a value of *rules* is no declaration.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.gate import Gate, public
        >>> known = Declarations(Gate("shop", registry=CollectorRegistry()), rules={"/static/{path}": public()})
        >>> known.of("/static/{path}", print, ["GET"])["GET"].is_public
        True
    """

    def __init__(self, gate: Gate, undeclared: str = "refuse", rules: Mapping[str, Declaration] | None = None) -> None:
        if undeclared not in ("refuse", "identify"):
            raise ConfigurationError(f'undeclared must be "refuse" or "identify", not {undeclared!r}')
        self._gate = gate
        self._undeclared = undeclared
        self._rules = dict(rules or {})
        self._told: set[str] = set()
        for template, declaration in self._rules.items():
            if not isinstance(declaration, Declaration):
                raise ConfigurationError(f"rules[{template!r}] must be require(...), authenticated() or public()")

    def of(self, template: str, handler: object, methods: Iterable[str]) -> dict[str, RouteRule]:
        """Return the rule of a route for each of its methods.

        Raises:
            ConfigurationError: it declares nothing, and that is refused; or it needs a capability that no matrix has.
        """
        every = frozenset(methods)
        # What answers OPTIONS alone, unlike a function that serves it with other methods.
        answers_options = every == _OPTIONS or isinstance(getattr(handler, "view_class", handler), type)
        return {
            method: self._rule(template, handler, method, is_public=method == "OPTIONS" and answers_options)
            for method in every
        }

    def _rule(self, template: str, handler: object, method: str, *, is_public: bool) -> RouteRule:
        named = self._rules.get(template)
        rule = declared(handler, method) if named is None else named.rule
        if rule is not None:
            self._check_capability(template, rule)
            return rule
        if is_public:
            # It asks what is possible and changes nothing (RFC 9110 section 9.3.7); a browser's preflight carries
            # no identity, so asking for one would close the route to every browser.
            return RouteRule(is_public=True)
        if self._undeclared == "refuse":
            raise ConfigurationError(
                f'route {template} declares nothing: decorate its handler with require("..."), authenticated() or '
                f"public(), or name it in install(..., rules={{{template!r}: public()}})"
            )
        self._tell(template, f"route {template} declares nothing and is served to any identity", "route_undeclared")
        return RouteRule()

    def _check_capability(self, template: str, rule: RouteRule) -> None:
        engine = self._gate.policy.engine
        known = getattr(getattr(engine, "matrix", None), "capabilities", None)
        if known is None or rule.capability is None or rule.capability in known:
            return
        near = get_close_matches(rule.capability, sorted(known), 1)
        message = (
            f"route {template} needs the capability {rule.capability!r}, which the matrix does not have"
            f"{f'; did you mean {near[0]!r}?' if near else ''}"
        )
        # A matrix in the code is all there will ever be; one that reloads may get the capability yet.
        if isinstance(engine, MatrixEngine):
            raise ConfigurationError(message)
        self._tell(template, message, "capability_unknown")

    def _tell(self, template: str, message: str, action: str) -> None:
        if template not in self._told:
            self._told.add(template)
            _log.warning(message, extra={"action": action, "route": template})
