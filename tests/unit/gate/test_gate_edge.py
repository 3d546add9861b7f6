"""A gate at the edge: credentials are checked, client identity is stripped, verified identity is synthesized."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, ConfigurationError, Gate, PolicyMatrix
from tenaudit.gate import Identity, RequestView, RouteRule, authenticated, declared, public, require
from tenaudit.security import ApiKeyAuthenticator, InMemoryApiKeyStore, new_api_key

TENANT = UUID("7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f")


def edge() -> tuple[Gate, str]:
    key, record = new_api_key(TENANT, ["Cashier"])
    store = InMemoryApiKeyStore([record])
    return Gate("edge", registry=CollectorRegistry(), authenticators=[ApiKeyAuthenticator(store)]), key


def identify(gate: Gate, *headers: tuple[str, str]) -> Identity:
    return asyncio.run(gate.identify(RequestView(headers, "192.0.2.1")))


def test_a_credential_becomes_a_context_and_headers() -> None:
    gate, key = edge()
    identity = identify(gate, ("X-API-Key", key))
    assert identity.context is not None
    assert identity.context.tenant_id == TENANT
    assert identity.context.roles == {"Cashier"}
    assert identity.context.actor.type == "api_key"
    assert identity.context.auth_method == "api_key"
    assert identity.context.client_ip == "192.0.2.1"
    assert dict(identity.headers)["X-Tenant-ID"] == str(TENANT)


@pytest.mark.parametrize("name", ["X-Roles", "x_roles", "X_ROLES", "X-Roles "])
def test_whatever_the_client_says_of_itself_is_gone(name: str) -> None:
    gate, key = edge()
    identity = identify(gate, ("X-API-Key", key), (name, "SuperAdmin"), ("X-Tenant-ID", str(UUID(int=1))))
    assert identity.context is not None
    assert identity.context.roles == {"Cashier"}
    assert identity.context.tenant_id == TENANT
    assert "SuperAdmin" not in str(identity.headers)


def test_without_a_credential_there_is_a_refusal_and_still_a_trace() -> None:
    gate, _ = edge()
    trace = "0af7651916cd43dd8448eb211c80319c"
    identity = identify(gate, ("X-Tenant-ID", str(TENANT)), ("traceparent", f"00-{trace}-b7ad6b7169203331-00"))
    assert identity.context is None
    assert identity.refusal is not None
    assert (identity.refusal.status, identity.refusal.code) == (401, "unauthorized")
    assert identity.trace.trace_id == trace


def test_admission_goes_identity_then_capability() -> None:
    gate, key = edge()
    stranger, cashier = identify(gate), identify(gate, ("X-API-Key", key))
    with pytest.raises(ApiError) as refused:
        asyncio.run(gate.admit(stranger, RouteRule("gdpr_manage")))
    assert refused.value.status == 401
    with pytest.raises(ApiError) as denied:
        asyncio.run(gate.admit(cashier, RouteRule("gdpr_manage")))
    assert denied.value.status == 403
    assert asyncio.run(gate.admit(stranger, RouteRule(is_public=True))).decision is None
    assert asyncio.run(gate.admit(cashier, RouteRule())).decision is None
    admitted = asyncio.run(gate.admit(cashier, RouteRule("payment_process")))
    assert admitted.decision is not None
    assert admitted.decision.granted_by == {"Cashier"}


def test_a_gate_takes_a_matrix_and_refuses_bad_rules() -> None:
    matrix = PolicyMatrix.from_mapping({"Cashier": {"till_open"}})
    gate = Gate("till", policy=matrix, registry=CollectorRegistry())
    view = RequestView([("X-Tenant-ID", str(TENANT)), ("X-Roles", "Cashier")])
    assert asyncio.run(gate.admit(gate.recognize(view), RouteRule("till_open"))).decision is not None
    with pytest.raises(ValueError, match="often"):
        Gate("till", limits=["often"], registry=CollectorRegistry())


def test_declarations_are_read_through_wrappers_and_never_contradict() -> None:
    import functools

    @require("a")
    def handler() -> None: ...

    wrapped = functools.wraps(handler)(lambda: None)
    assert declared(functools.partial(wrapped)) == RouteRule("a")
    assert declared(public()(lambda: None)) == RouteRule(is_public=True)
    assert declared(authenticated()(lambda: None)) == RouteRule()
    assert declared(print) is None
    with pytest.raises(ConfigurationError, match="declared twice"):
        public()(handler)
    with pytest.raises(ConfigurationError, match="needs the name"):
        require("")
