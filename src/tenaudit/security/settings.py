"""What a service believes of the headers it receives."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.error import ConfigurationError
from tenaudit.errors.instruments import counter
from tenaudit.security.forms import carryable
from tenaudit.security.roles import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client import CollectorRegistry

    from tenaudit.security.signing import ContextVerifier

__all__ = ["SecuritySettings", "count_unknown_roles", "count_untrusted"]


def count_unknown_roles(roles: int, registry: CollectorRegistry | None = None) -> None:
    """Add *roles* to `security_unknown_roles_total` of *registry* (None: prometheus-client's default)."""
    counter(registry, "security_unknown_roles_total", "Role names that no vocabulary knows; never granted.").inc(roles)


def count_untrusted(reason: str, registry: CollectorRegistry | None = None) -> None:
    """Add one to `security_untrusted_contexts_total` of *registry* (None: prometheus-client's default)."""
    counter(registry, "security_untrusted_contexts_total", "Signed contexts that were refused.", ("reason",)).labels(
        reason
    ).inc()


@dataclass(frozen=True, slots=True)
class SecuritySettings:
    """How identity headers are read and who may have set them.

    Args:
        trust: `"mesh"`: an upstream strips these headers from clients and sets them itself. `"signed"`: the gateway
            signs them (RFC 9421), and *verifier* says with which keys.
        known_roles: the role names that may enter a context, matched without regard to case.
        max_user_id_bytes: UTF-8 bytes that `X-User-ID` may have.
        on_unknown_roles: called with the number of unknown roles of a request.
        random_bytes: source of new trace ids.
        verifier: what checks signed contexts; with `trust="signed"` and only there.
        on_untrusted: called with the reason of each context that is refused for its signature.

    Attributes:
        memo: what header values were found to mean under these settings; bounded, kept by `extract_context`.

    Raises:
        ConfigurationError: an unknown trust mode; `"signed"` without a verifier, or one with another mode; a role
            name that no `X-Roles` could carry, or two names that differ by case alone.

    Example:
        >>> SecuritySettings(known_roles=["Auditor"]).role_of("AUDITOR")
        'Auditor'
    """

    trust: str = "mesh"
    known_roles: Iterable[str] = tuple(Role)
    max_user_id_bytes: int = 256
    on_unknown_roles: Callable[[int], None] = count_unknown_roles
    random_bytes: Callable[[int], bytes] = os.urandom
    verifier: ContextVerifier | None = None
    on_untrusted: Callable[[str], None] = count_untrusted
    memo: dict[tuple[object, ...], Any] = field(init=False, repr=False, compare=False, default_factory=dict)
    _by_lower: Mapping[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.trust not in ("mesh", "signed"):
            raise ConfigurationError(f'trust must be "mesh" or "signed", not {self.trust!r}')
        if (self.trust == "signed") != (self.verifier is not None):
            raise ConfigurationError('trust="signed" needs a verifier, and only trust="signed" takes one')
        if not self.max_user_id_bytes >= 1:  # which NaN is not: no id would be too long
            raise ConfigurationError("max_user_id_bytes must be at least 1")
        names = _role_names(self.known_roles)
        object.__setattr__(self, "known_roles", names)
        object.__setattr__(self, "_by_lower", MappingProxyType({name.lower(): name for name in names}))

    def role_of(self, name: str) -> str | None:
        """Return the known role that *name* means, or None."""
        return self._by_lower.get(name.lower())


def _role_names(roles: Iterable[str]) -> tuple[str, ...]:
    if isinstance(roles, str):
        raise ConfigurationError("known_roles is a list of names, not one string")
    names = tuple(dict.fromkeys(map(str, roles)))
    for name in names:
        if not carryable(name):
            raise ConfigurationError(f"known_roles: {name!r} is no role name: printable ASCII without commas")
    if len({name.lower() for name in names}) != len(names):
        raise ConfigurationError("known_roles: two names differ by case alone, and roles are matched without case")
    return names
