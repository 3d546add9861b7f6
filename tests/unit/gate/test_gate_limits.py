"""The limits of a gate: who is charged, what is counted, and that slots come back however a request ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, Gate
from tenaudit.gate import Admission, Identity, RequestView, RouteRule
from tenaudit.security import ApiKeyAuthenticator, InMemoryApiKeyStore, new_api_key
from tests.unit.gate.waiting_engine import WaitingEngine

if TYPE_CHECKING:
    from collections.abc import Callable

PAY, ERASE, PUBLIC = RouteRule("payment_process"), RouteRule("gdpr_manage"), RouteRule(is_public=True)
ENGINES: list[Callable[[], Any]] = [lambda: None, WaitingEngine]


def gate_of(engine: Callable[[], Any], *limits: str) -> tuple[Gate, CollectorRegistry]:
    registry = CollectorRegistry()
    return Gate("shop", registry=registry, limiter=engine(), limits=limits), registry


def caller(gate: Gate, tenant: int = 1) -> Identity:
    return gate.recognize(
        RequestView([("X-Tenant-ID", f"{tenant:08d}-0000-4000-8000-000000000000"), ("X-Roles", "Cashier")])
    )


def admit(gate: Gate, rule: RouteRule = PAY, tenant: int = 1) -> Admission:
    return asyncio.run(gate.admit(caller(gate, tenant), rule))


def counted(registry: CollectorRegistry, rule: str, outcome: str) -> float | None:
    return registry.get_sample_value("rate_limiter_decisions_total", {"rule": rule, "outcome": outcome})


@pytest.mark.parametrize("engine", ENGINES, ids=["in-memory", "waiting"])
def test_a_tenant_is_charged_and_then_refused(engine: Callable[[], Any]) -> None:
    gate, registry = gate_of(engine, "2/minute")
    assert [admit(gate).rate is not None for _ in range(2)] == [True, True]
    with pytest.raises(ApiError) as refusal:
        admit(gate)
    assert (refusal.value.status, refusal.value.code) == (429, "rate_limited")
    assert admit(gate, tenant=2).rate is not None
    assert (counted(registry, "2/minute", "allow"), counted(registry, "2/minute", "deny")) == (3.0, 1.0)


@pytest.mark.parametrize("engine", ENGINES, ids=["in-memory", "waiting"])
def test_slots_come_back_when_a_request_ends_or_is_denied(engine: Callable[[], Any]) -> None:
    gate, _ = gate_of(engine, "1 concurrent")
    for _ in range(3):
        with pytest.raises(ApiError) as denial:
            admit(gate, ERASE)
        assert denial.value.code == "missing_role"
        assert "RateLimit" in dict(denial.value.headers)
    held = admit(gate)
    assert gate.holds_slots(held)
    with pytest.raises(ApiError) as refusal:
        admit(gate)
    assert refusal.value.code == "rate_limited"
    asyncio.run(gate.release(held))
    assert gate.holds_slots(admit(gate))


@pytest.mark.parametrize("engine", ENGINES, ids=["in-memory", "waiting"])
def test_what_holds_no_slot_gives_none_back(engine: Callable[[], Any]) -> None:
    gate, _ = gate_of(engine, "9/minute")
    admission = admit(gate)
    assert not gate.holds_slots(admission)
    asyncio.run(gate.release(admission))
    stranger = gate.recognize(RequestView([]))
    asyncio.run(gate.release(asyncio.run(gate.admit(stranger, PUBLIC))))


@pytest.mark.parametrize("engine", ENGINES, ids=["in-memory", "waiting"])
def test_a_stranger_is_refused_for_the_identity_and_charges_nobody(engine: Callable[[], Any]) -> None:
    gate, registry = gate_of(engine, "1/minute")
    with pytest.raises(ApiError) as refusal:
        asyncio.run(gate.admit(gate.recognize(RequestView([])), PAY))
    assert refusal.value.code == "missing_tenant_id"
    assert counted(registry, "1/minute", "allow") == 0.0


def test_a_shadow_rule_is_counted_and_refuses_nothing() -> None:
    gate, registry = gate_of(lambda: None, "1/minute;shadow=true")
    assert [admit(gate).rate is not None for _ in range(3)] == [True] * 3
    assert (counted(registry, "1/minute", "allow"), counted(registry, "1/minute", "shadow")) == (1.0, 2.0)


def test_more_tenants_than_are_remembered_are_all_charged_for_themselves() -> None:
    gate, _ = gate_of(lambda: None, "1/minute")
    for tenant in range(5000):
        admit(gate, tenant=tenant)
    with pytest.raises(ApiError):
        admit(gate, tenant=4999)


def test_two_credentials_of_one_name_are_none() -> None:
    key, record = new_api_key(UUID(int=1), ["Cashier"])
    gate = Gate(
        "edge", registry=CollectorRegistry(), authenticators=[ApiKeyAuthenticator(InMemoryApiKeyStore([record]))]
    )
    once = asyncio.run(gate.identify(RequestView([("X-API-Key", key)])))
    assert once.context is not None
    twice = asyncio.run(gate.identify(RequestView([("X-API-Key", "stolen"), ("x-api-key", key)])))
    assert twice.context is None
    assert twice.refusal is not None
    assert twice.refusal.status == 401
