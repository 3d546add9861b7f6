"""The guard: one decision in the error, the metrics, the log and the callback, whatever the engine does."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import gc
import logging
import threading
import weakref

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.errors import ApiError, ConfigurationError
from tenaudit.policy import (
    Capability,
    ChangingEngine,
    Decision,
    MatrixEngine,
    PolicyGuard,
    PolicyMatrix,
    ensure_capability,
)
from tenaudit.policy.guard import BOUND_GUARD, acting_guard
from tenaudit.security import Actor
from tenaudit.testing.clock import ManualClock
from tests.unit.policy.policy_parts import TRACE, ScriptedEngine, context


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


def test_an_allowed_check_returns_the_decision_and_is_counted():
    guard, value = guarded()
    assert guard.check(context("Cashier"), Capability.PAYMENT_PROCESS).granted_by == {"Cashier"}
    guard.check(context("Cashier"), "payment_process")
    assert value("capability_checks_total", capability="payment_process", outcome="allow") == 2
    assert value("capability_checks_total", capability="payment_process", outcome="deny") is None
    assert value("capability_denials_total", capability="payment_process") is None


def test_a_denied_check_is_a_403_and_counted_twice_over():
    guard, value = guarded()
    for times in (1, 2, 3):
        assert denied(guard, context("Support"), "payment_process").missing_role == "payment_access"
        assert value("capability_checks_total", capability="payment_process", outcome="deny") == times
        assert value("capability_denials_total", capability="payment_process") == times


def test_an_answer_that_is_remembered_is_the_same_answer():
    guard, _ = guarded()
    first, *others = [guard.check(context("Cashier"), "payment_process") for _ in range(3)]
    assert first == MatrixEngine(PolicyMatrix.default()).decide(context("Cashier"), "payment_process")
    assert all(other is first for other in others)
    errors = [denied(guard, context("Support"), "payment_process") for _ in range(3)]
    assert len({id(error) for error in errors}) == 3
    assert {error.message for error in errors} == {"A required capability is missing."}


def test_another_engine_in_its_place_is_asked():
    guard, _ = guarded()
    assert guard.check(context("Cashier"), "payment_process").allowed
    guard.engine = MatrixEngine(PolicyMatrix.from_mapping({"Cashier": ["audit_view"]}))
    denied(guard, context("Cashier"), "payment_process")
    guard.check(context("Cashier"), "audit_view")


def test_a_failure_is_not_remembered():
    class FailsOnce(frozenset):
        failed = False

        def __iter__(self):
            if not FailsOnce.failed:
                FailsOnce.failed = True
                raise MemoryError
            return super().__iter__()

    guard, value = guarded()
    guard.check(context("Admin"), "audit_view")
    ctx = dataclasses.replace(context(), roles=FailsOnce({"Admin"}))
    denied(guard, ctx, "payment_process")
    for _ in range(3):
        assert guard.check(ctx, "payment_process").granted_by == {"Admin"}
    assert value("capability_checks_total", capability="payment_process", outcome="allow") == 3


class _NoHash(str):
    __slots__ = ()

    def __hash__(self):
        raise ValueError


@pytest.mark.parametrize("capability", [["payment_process"], {"a": 1}, _NoHash("payment_process")])
@pytest.mark.parametrize("roles", [frozenset({"Cashier"}), {"Cashier"}, ["Cashier"]])
def test_what_has_no_hash_is_denied_each_time(capability, roles):
    guard, _ = guarded()
    guard.check(context("Admin"), "audit_view")
    for _ in range(3):
        denied(guard, dataclasses.replace(context(), roles=roles), capability)


def test_an_enumeration_of_strings_is_its_value():
    class Own(str, enum.Enum):  # noqa: UP042 - whose `str` is not its value
        PAY = "payment_process"

    guard, value = guarded()
    assert denied(guard, context("Support"), Own.PAY).missing_role == "payment_access"
    assert denied(guard, context("Support"), "payment_process").missing_role == "payment_access"
    assert guard.check(context("Cashier"), Own.PAY).capability == "payment_process"
    assert value("capability_checks_total", capability="payment_process", outcome="deny") == 2


def test_more_role_sets_than_are_kept_leave_memory_again():
    guard, _ = guarded()
    alive = weakref.WeakSet()
    for n in range(10_000):
        roles = frozenset({"Cashier", f"role-{n}"})
        alive.add(roles)
        assert guard.check(dataclasses.replace(context(), roles=roles), "payment_process").allowed
    assert len(alive) <= 2 * 4096 + 1
    kept = next(iter(alive))
    del roles
    assert guard.check(dataclasses.replace(context(), roles=kept), "payment_process").allowed


def test_names_that_no_matrix_knows_are_not_kept():
    guard, _ = guarded()

    class Name(str):
        __slots__ = ("__weakref__",)

    alive = weakref.WeakSet()
    for n in range(200):
        name = Name(f"unknown-{n}")
        alive.add(name)
        denied(guard, context("Admin"), name)
    del name
    gc.collect()
    assert len(alive) == 0


def test_who_must_be_known_is_asked_for_each_time():
    guard, _ = guarded(MatrixEngine(PolicyMatrix.default(), require_actor=True))
    named = context("Cashier")
    nobody = dataclasses.replace(named, actor=Actor(None, "anonymous"))
    for _ in range(2):
        assert guard.check(named, "payment_process").allowed
        denied(guard, nobody, "payment_process")


@pytest.mark.parametrize(
    ("disclose", "name", "told"),
    [("none", None, False), ("capability", "payment_access", False), ("roles", "payment_access", True)],
)
def test_what_a_denied_client_may_read_is_a_switch(disclose, name, told):
    guard, _ = guarded(disclose=disclose)
    body = denied(guard, context("Support"), "payment_process").to_body(TRACE)
    assert body.get("missing_role") == name
    roles = "Needs one of these roles: Admin, Cashier, Manager, SuperAdmin."
    assert body["message"] == (roles if told else "A required capability is missing.")


@pytest.mark.parametrize("options", [{"disclose": "all"}, {"disclose": ""}, {"denials_per_second": -1}])
def test_a_wrong_option_is_a_configuration_error(options):
    with pytest.raises(ConfigurationError):
        guarded(**options)


@pytest.mark.parametrize("name", ["scripted", "matrix"])
@pytest.mark.parametrize(
    "answer",
    [
        RuntimeError("secret of the engine"),
        None,
        True,
        Decision(1, "a", "granted"),
        Decision("yes", "a", "granted"),
        type("Loose", (), {"allowed": True})(),
        type("Loose", (), {"allowed": "yes"})(),
        type("Loose", (), {"allowed": False})(),
    ],
    ids=["raises", "none", "bool", "one", "text", "foreign_allow", "foreign_text", "foreign_deny"],
)
def test_an_engine_that_errs_denies(answer, name, caplog):
    seen = []
    engine = ScriptedEngine(answer)
    engine.name = name
    guard, value = guarded(engine, on_denial=lambda ctx, decision: seen.append(decision))
    error = denied(guard, context("SuperAdmin"), "a")
    assert "secret" not in str(error.to_body(TRACE))
    assert [(d.allowed, d.capability, d.reason) for d in seen] == [(False, "a", "engine_error")]
    assert value("capability_checks_total", capability="a", outcome="deny") == 1
    if isinstance(answer, Exception):
        (record,) = caplog.records
        assert (record.levelno, record.action, record.trace_id) == (logging.ERROR, "policy_engine_failed", TRACE)
        assert record.name == "tenaudit.policy"
        assert record.exc_info


def test_an_engine_that_cannot_name_a_denial_still_denies(caplog):
    guard, _ = guarded(ScriptedEngine(Decision(False, "a", "no_role_grants"), shown=KeyError("a")))
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


def test_ten_denial_events_a_second_are_told_by_default():
    seen = []
    guard, _ = guarded(on_denial=lambda ctx, decision: seen.append(1), clock=ManualClock())
    for _ in range(15):
        denied(guard, context(), "gdpr_manage")
    assert len(seen) == 10


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
    timed = []
    for _ in range(129):
        guard.check(context("Admin"), "audit_view")
        timed.append(value("capability_eval_seconds_count", engine="matrix"))
    assert [n for n, (before, now) in enumerate(zip([0, *timed], timed, strict=False)) if now > before] == [0, 64, 128]
    other = ScriptedEngine(Decision(True, "a", "granted"))
    for _ in range(65):
        guard.check(context("Admin"), "a", engine=other)
    assert value("capability_eval_seconds_count", engine="scripted") == 65
    assert value("capability_eval_seconds_count", engine="matrix") == 3


def test_other_engines_do_not_keep_the_matrix_from_being_timed():
    guard, value = guarded()
    other = ScriptedEngine(Decision(True, "a", "granted"))
    for _ in range(65):
        guard.check(context("Admin"), "a", engine=other)
        guard.check(context("Admin"), "audit_view")
    assert value("capability_eval_seconds_count", engine="matrix") in (2, 3)


def test_an_engine_that_calls_itself_a_matrix_is_timed_like_one():
    class Careful(MatrixEngine):
        pass

    guard, value = guarded(Careful(PolicyMatrix.default()))
    for _ in range(65):
        guard.check(context("Admin"), "audit_view")
    assert value("capability_eval_seconds_count", engine="matrix") == 2


def test_the_time_of_a_decision_is_measured_in_seconds_between_100_ns_and_100_ms():
    guard, value = guarded()
    guard.check(context("Admin"), "audit_view")
    assert 0 < value("capability_eval_seconds_sum", engine="matrix") < 10
    bounds = [
        "1e-07",
        "2.5e-07",
        "5e-07",
        "1e-06",
        "2.5e-06",
        "5e-06",
        "1e-05",
        "0.0001",
        "0.001",
        "0.01",
        "0.1",
        "+Inf",
    ]
    assert all(value("capability_eval_seconds_bucket", engine="matrix", le=bound) is not None for bound in bounds)


def test_the_default_guard_is_one_for_the_process():
    assert isinstance(acting_guard(), PolicyGuard)
    assert acting_guard() is acting_guard()
    guard, _ = guarded()
    token = BOUND_GUARD.set(guard)
    try:
        assert acting_guard() is guard
    finally:
        BOUND_GUARD.reset(token)


def test_capability_labels_are_bounded():
    guard, value = guarded()
    for n in range(300):
        denied(guard, context(), f"made_up_{n}")
    assert value("capability_denials_total", capability="_overflow") == 100


def test_the_resource_reaches_the_engine():
    engine = ScriptedEngine(Decision(True, "a", "granted"))
    guard, _ = guarded(engine)
    guard.check(context(), "a", resource="order-7")
    guard.check(context(), "b")
    assert engine.asked == [(context(), "a", "order-7"), (context(), "b", None)]


def test_ensure_capability_asks_the_default_matrix_outside_a_request():
    assert ensure_capability(context("Cashier"), "payment_process").allowed
    with pytest.raises(ApiError, match="capability is missing"):
        ensure_capability(context("Cashier"), "gdpr_manage", resource="x")


def test_ensure_capability_asks_the_bound_guard_and_a_given_engine():
    guard, value = guarded(MatrixEngine(PolicyMatrix.from_mapping({"Cashier": {"gdpr_manage"}})))
    token = BOUND_GUARD.set(guard)
    try:
        assert ensure_capability(context("Cashier"), "gdpr_manage").allowed
        engine = ScriptedEngine(Decision(False, "gdpr_manage", "no"))
        with pytest.raises(ApiError) as caught:
            ensure_capability(context("Cashier"), "gdpr_manage", engine=engine)
        assert caught.value.missing_role == "shown"
        assert engine.asked == [(context("Cashier"), "gdpr_manage", None)]
    finally:
        BOUND_GUARD.reset(token)
    assert value("capability_checks_total", capability="gdpr_manage", outcome="allow") == 1
    assert value("capability_checks_total", capability="gdpr_manage", outcome="deny") == 1
    with pytest.raises(ApiError):
        ensure_capability(context("Cashier"), "gdpr_manage")


def test_a_bound_guard_stays_in_its_task():
    guard, _ = guarded(ScriptedEngine(Decision(True, "gdpr_manage", "granted")))

    async def inside():
        BOUND_GUARD.set(guard)
        return ensure_capability(context(), "gdpr_manage").allowed

    async def main():
        allowed = await asyncio.create_task(inside())
        with pytest.raises(ApiError):
            ensure_capability(context(), "gdpr_manage")
        return allowed

    assert asyncio.run(main())


def test_each_denial_is_an_error_of_its_own():
    guard, _ = guarded(disclose="roles")
    one, two = (denied(guard, context("Support"), "payment_process") for _ in range(2))
    one.add_note("for the first alone")
    assert one is not two
    assert not hasattr(two, "__notes__")
    built = ApiError(403, "missing_role", one.message, missing_role="payment_access")
    for error in (one, two):
        assert (error.args, str(error), error.to_body(TRACE)) == (built.args, str(built), built.to_body(TRACE))
    assert set(vars(two)) == set(vars(built))
    assert one.__traceback__ is not two.__traceback__


def test_what_a_denial_says_follows_the_engine_and_not_the_one_before():
    guard, value = guarded(disclose="roles")
    mine = MatrixEngine(PolicyMatrix.from_mapping({"Boss": {"gdpr_manage"}}, denial_names={"gdpr_manage": "erasure"}))
    for _ in range(2):
        error = denied(guard, context(), "gdpr_manage")
        assert (error.missing_role, "SuperAdmin" in error.message) == ("gdpr_manage", True)
        error = denied(guard, context(), "gdpr_manage", engine=mine)
        assert (error.missing_role, error.message) == ("erasure", "Needs one of these roles: Boss.")
        scripted = ScriptedEngine(Decision(False, "gdpr_manage", "no"), shown="scripted")
        assert denied(guard, context(), "gdpr_manage", engine=scripted).missing_role == "scripted"
        scripted.shown = "changed"
        assert denied(guard, context(), "gdpr_manage", engine=scripted).missing_role == "changed"
    assert value("capability_denials_total", capability="gdpr_manage") == 8


def test_a_subclass_of_the_matrix_engine_is_asked_each_time():
    class Counting(MatrixEngine):
        named = 0

        def denial_name(self, capability):
            self.named += 1
            return f"{capability}_{self.named}"

    guard, _ = guarded(Counting(PolicyMatrix.default()))
    assert [denied(guard, context(), "audit_view").missing_role for _ in range(2)] == ["audit_view_1", "audit_view_2"]


def test_denials_past_the_labels_still_say_what_is_missing():
    guard, _ = guarded()
    for _ in range(2):
        for n in range(250):
            assert denied(guard, context(), f"made_up_{n}").missing_role == f"made_up_{n}"


class _Moving(ChangingEngine):
    """An engine that has other rules each time it is asked for anything."""

    name = "moving"

    def __init__(self):
        self.version = 0

    def pinned(self):
        self.version += 1
        shown = {"write": f"version_{self.version}"}
        return MatrixEngine(PolicyMatrix.from_mapping({f"R{self.version}": {"write"}}, denial_names=shown))

    def decide(self, ctx, capability, resource=None):
        return self.pinned().decide(ctx, capability, resource)

    def denial_name(self, capability):
        return self.pinned().denial_name(capability)


def test_a_decision_and_its_denial_name_are_of_one_version():
    guard, _ = guarded(_Moving(), disclose="roles")
    for version in range(1, 4):
        error = denied(guard, context(), "write")
        assert (error.message, error.missing_role) == (f"Needs one of these roles: R{version}.", f"version_{version}")
    assert guard.check(context("R4"), "write").granted_by == {"R4"}


def test_an_engine_that_cannot_be_pinned_denies(caplog):
    class Broken(_Moving):
        def pinned(self):
            raise OSError("secret of the file")

    guard, _ = guarded(Broken())
    assert denied(guard, context("R1"), "write").missing_role == "write"
    assert [record.action for record in caplog.records] == ["policy_engine_failed"] * 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_a_stop_is_passed_on_and_allows_nothing(stop):
    guard, value = guarded(ScriptedEngine(stop()))
    with pytest.raises(stop):
        guard.check(context("SuperAdmin"), "a")
    assert value("capability_checks_total", capability="a", outcome="allow") is None


def test_allowed_checks_past_the_labels_are_counted_together():
    names = [f"made_up_{n}" for n in range(250)]
    guard, value = guarded(MatrixEngine(PolicyMatrix.from_mapping({"Admin": names})))
    for _ in range(2):
        for name in names:
            guard.check(context("Admin"), name)
    assert value("capability_checks_total", capability="_overflow", outcome="allow") == 100
    assert value("capability_checks_total", capability="made_up_199", outcome="allow") == 2
