"""A default role is given where it is configured, to those without any, and counted."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ConfigurationError
from tenaudit.security import ApiKeyAuthenticator, DefaultRole, InMemoryApiKeyStore, new_api_key


def test_only_a_principal_without_roles_gets_it_and_each_time_counts() -> None:
    registry = CollectorRegistry()
    bare_key, bare = new_api_key(UUID(int=1), [])
    key, record = new_api_key(UUID(int=1), ["Cashier"])
    keys = ApiKeyAuthenticator(InMemoryApiKeyStore([bare, record]))
    check = DefaultRole(keys, "Support", registry=registry)

    def roles(headers: dict[str, str]) -> frozenset[str] | None:
        principal = asyncio.run(check.authenticate(headers))
        return None if principal is None else principal.roles

    assert roles({"x-api-key": key}) == {"Cashier"}
    assert roles({}) is None
    assert registry.get_sample_value("security_default_roles_total") == 0
    assert roles({"x-api-key": bare_key}) == {"Support"}
    assert registry.get_sample_value("security_default_roles_total") == 1


def test_a_role_that_no_header_carries_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no role name"):
        DefaultRole(ApiKeyAuthenticator(InMemoryApiKeyStore()), "a,b", registry=CollectorRegistry())
