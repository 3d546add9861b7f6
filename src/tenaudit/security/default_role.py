"""A role for those whose credential names none, where a platform wants that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.errors.instruments import counter
from tenaudit.security.forms import carryable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import CollectorRegistry

    from tenaudit.security.authenticator import Authenticator
    from tenaudit.security.principal import Principal

__all__ = ["DefaultRole"]


class DefaultRole:
    """An authenticator that gives *role* to a principal without any; each use is counted.

    Without it a credential that carries no role grants nothing, which is the default for a reason: the counter
    `security_default_roles_total` shows who still depends on it.

    Args:
        authenticator: what checks the credential.
        role: the role that is given.
        registry: where the counter lives.

    Raises:
        ConfigurationError: *role* is no name that a header could carry.

    Example:
        >>> import asyncio
        >>> from uuid import UUID
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.security import ApiKeyAuthenticator, InMemoryApiKeyStore, new_api_key
        >>> key, record = new_api_key(UUID(int=1), [])
        >>> keys = ApiKeyAuthenticator(InMemoryApiKeyStore([record]))
        >>> check = DefaultRole(keys, "Support", registry=CollectorRegistry())
        >>> sorted(asyncio.run(check.authenticate({"x-api-key": key})).roles)
        ['Support']
    """

    def __init__(self, authenticator: Authenticator, role: str, *, registry: CollectorRegistry | None = None) -> None:
        if not carryable(role):
            raise ConfigurationError(f"{role!r} is no role name: printable ASCII without commas")
        self._authenticator = authenticator
        self._roles = frozenset({str(role)})
        self._given = counter(
            registry, "security_default_roles_total", "Principals that got the default role, having none."
        )

    async def authenticate(self, headers: Mapping[str, str]) -> Principal | None:
        """Return the principal of the inner authenticator, with the default role when it has none."""
        principal = await self._authenticator.authenticate(headers)
        if principal is None or principal.roles:
            return principal
        self._given.inc()
        return replace(principal, roles=self._roles)
