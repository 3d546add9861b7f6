"""The guard: one decision in the error, the metrics, the log and the callback, whatever the engine does."""

from __future__ import annotations

import asyncio
import logging
import threading
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.errors import ApiError, ConfigurationError
from tenaudit.policy import Capability, Decision, MatrixEngine, PolicyGuard, PolicyMatrix, ensure_capability
from tenaudit.policy.guard import BOUND_GUARD
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.clock import ManualClock

TRACE = "0af7651916cd43dd8448eb211c80319c"


def context(*roles, tenant=1):
    return SecurityContext(UUID(int=tenant), Actor("u-1"), frozenset(roles), TraceContext(TRACE, None, False))


def guarded(engine=None, **options):
    registry = CollectorRegistry()
    return PolicyGuard(engine, registry=registry, **options), lambda name, **labels: registry.get_sample_value(
        name, labels
    )


def denied(guard, ctx, capability, **options):
    with pytest.raises(ApiError) as caught:
        guard.check(ctx, capability, **options)
    assert (caught.value.status, caught.value.code) == (403, "missing_role")
    return caught.value


class _Engine:
    """An engine whose answers a test chooses."""

    name = "scripted"

    def __init__(self, answer, shown="shown"):
        self.answer, self.shown, self.asked = answer, shown, []

    def decide(self, ctx, capability, resource=None):
        self.asked.append((ctx, capability, resource))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def denial_name(self, capability):
        if isinstance(self.shown, Exception):
            raise self.shown
        return self.shown


def test_an_allowed_check_returns_the_decision_and_is_counted():
    guard, value = guarded()
    assert guard.check(context("Cashier"), Capability.PAYMENT_PROCESS).granted_by == {"Cashier"}
    guard.check(context("Cashier"), "payment_process")
    assert value("capability_checks_total", capability="payment_process", outcome="allow") == 2
    assert value("capability_checks_total", capability="payment_process", outcome="deny") is None
    assert value("capability_denials_total", capability="payment_process") is None


def test_a_denied_check_is_a_403_and_counted_twice_over():
    guard, value = guarded()
    assert denied(guard, context("Support"), "payment_process").missing_role == "payment_access"
    assert value("capability_checks_total", capability="payment_process", outcome="deny") == 1
    assert value("capability_denials_total", capability="payment_process") == 1


@pytest.mark.parametrize(
    ("disclose", "name", "told"),
    [("none", None, False), ("capability", "payment_access", False), ("roles", "payment_access", True)],
)
def test_what_a_denied_client_may_read_is_a_switch(disclose, name, told):
    guard, _ = guarded(disclose=disclose)
    body = denied(guard, context("Support"), "payment_process").to_body(TRACE)
    assert body.get("missing_role") == name
    assert ("Admin, Cashier, Manager, SuperAdmin" in body["message"]) is told


@pytest.mark.parametrize("options", [{"disclose": "all"}, {"disclose": ""}, {"denials_per_second": -1}])
def test_a_wrong_option_is_a_configuration_error(options):
    with pytest.raises(ConfigurationError):
        guarded(**options)


@pytest.mark.parametrize(
    "answer",
    [
        RuntimeError("secret of the engine"),
        None,
        True,
        Decision(1, "a", "granted"),
        Decision("yes", "a", "granted"),
        type("Loose", (), {"allowed": "yes"})(),
        type("Loose", (), {"allowed": False})(),
    ],
    ids=["raises", "none", "bool", "one", "text", "foreign_allow", "foreign_deny"],
)
def test_an_engine_that_errs_denies(answer, caplog):
    seen = []
    guard, value = guarded(_Engine(answer), on_denial=lambda ctx, decision: seen.append(decision))
    error = denied(guard, context("SuperAdmin"), "a")
    assert "secret" not in str(error.to_body(TRACE))
    assert [(d.allowed, d.capability, d.reason) for d in seen] == [(False, "a", "engine_error")]
    assert value("capability_checks_total", capability="a", outcome="deny") == 1
    if isinstance(answer, Exception):
        (record,) = caplog.records
        assert (record.levelno, record.action, record.trace_id) == (logging.ERROR, "policy_engine_failed", TRACE)
        assert record.exc_info


def test_an_engine_that_cannot_name_a_denial_still_denies(caplog):
    guard, _ = guarded(_Engine(Decision(False, "a", "no_role_grants"), shown=KeyError("a")))
    assert denied(guard, context(), "a").missing_role == "a"
    assert caplog.records[0].action == "policy_engine_failed"


def test_a_denial_callback_that_fails_does_not_turn_the_403_into_a_500(caplog):
    def fail(ctx, decision):
        raise OSError("disk")

    guard, value = guarded(on_denial=fail)
    denied(guard, context(), "gdpr_manage")
    assert caplog.records[0].action == "policy_on_denial_failed"
    assert value("capability_denials_total", capability="gdpr_manage") == 1


def test_denial_events_are_bounded_a_second_for_each_tenant_and_capability():
    clock, seen = ManualClock(), []
    guard, value = guarded(
        on_denial=lambda ctx, decision: seen.append((ctx.tenant_id.int, decision.capability)),
        denials_per_second=3,
        clock=clock,
    )

    def burst():
        seen.clear()
        for _ in range(10):
            denied(guard, context(), "gdpr_manage")
        denied(guard, context(tenant=2), "gdpr_manage")
        denied(guard, context(), "audit_view")
        return sorted(seen)

    expected = [(1, "audit_view"), *[(1, "gdpr_manage")] * 3, (2, "gdpr_manage")]
    assert burst() == expected
    assert value("capability_denial_events_suppressed_total") == 7
    clock.jump_wall(3600)
    assert burst() == [(1, "audit_view"), (2, "gdpr_manage")]
    clock.advance(1)
    assert burst() == expected
    assert value("capability_denials_total", capability="gdpr_manage") == 33


def test_the_bound_holds_between_threads():
    seen = []
    guard, value = guarded(on_denial=lambda ctx, decision: seen.append(1), denials_per_second=5, clock=ManualClock())

    def work():
        for _ in range(200):
            denied(guard, context(), "gdpr_manage")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(seen), value("capability_denial_events_suppressed_total")) == (5, 795)


def test_denials_without_a_callback_suppress_nothing():
    guard, value = guarded(denials_per_second=0)
    denied(guard, context(), "gdpr_manage")
    assert value("capability_denial_events_suppressed_total") == 0


def test_the_matrix_is_timed_once_in_64_and_other_engines_each_time():
    guard, value = guarded()
    other = _Engine(Decision(True, "a", "granted"))
    for _ in range(65):
        guard.check(context("Admin"), "audit_view")
        guard.check(context("Admin"), "a", engine=other)
    assert value("capability_eval_seconds_count", engine="scripted") == 65
    assert 1 <= value("capability_eval_seconds_count", engine="matrix") <= 3


def test_capability_labels_are_bounded():
    guard, value = guarded()
    for n in range(300):
        denied(guard, context(), f"made_up_{n}")
    assert value("capability_denials_total", capability="_overflow") == 100


def test_the_resource_reaches_the_engine():
    engine = _Engine(Decision(True, "a", "granted"))
    guard, _ = guarded(engine)
    guard.check(context(), "a", resource="order-7")
    assert engine.asked == [(context(), "a", "order-7")]


def test_ensure_capability_asks_the_default_matrix_outside_a_request():
    assert ensure_capability(context("Cashier"), "payment_process").allowed
    with pytest.raises(ApiError, match="capability is missing"):
        ensure_capability(context("Cashier"), "gdpr_manage", resource="x")


def test_ensure_capability_asks_the_bound_guard_and_a_given_engine():
    guard, value = guarded(MatrixEngine(PolicyMatrix.from_mapping({"Cashier": {"gdpr_manage"}})))
    token = BOUND_GUARD.set(guard)
    try:
        assert ensure_capability(context("Cashier"), "gdpr_manage").allowed
        engine = _Engine(Decision(False, "gdpr_manage", "no"))
        with pytest.raises(ApiError) as caught:
            ensure_capability(context("Cashier"), "gdpr_manage", engine=engine)
        assert caught.value.missing_role == "shown"
    finally:
        BOUND_GUARD.reset(token)
    assert value("capability_checks_total", capability="gdpr_manage", outcome="allow") == 1
    assert value("capability_checks_total", capability="gdpr_manage", outcome="deny") == 1
    with pytest.raises(ApiError):
        ensure_capability(context("Cashier"), "gdpr_manage")


def test_a_bound_guard_stays_in_its_task():
    guard, _ = guarded(_Engine(Decision(True, "gdpr_manage", "granted")))

    async def inside():
        BOUND_GUARD.set(guard)
        return ensure_capability(context(), "gdpr_manage").allowed

    async def main():
        allowed = await asyncio.create_task(inside())
        with pytest.raises(ApiError):
            ensure_capability(context(), "gdpr_manage")
        return allowed

    assert asyncio.run(main())
