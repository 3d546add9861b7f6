"""The shadow engine: the live answer always, the difference in numbers and log lines only."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.errors import ApiError
from tenaudit.policy import Capability, Decision, MatrixEngine, PolicyFile, PolicyGuard, PolicyMatrix, ShadowEngine
from tenaudit.testing.clock import ManualClock
from tests.unit.policy.policy_parts import TRACE, ScriptedEngine, context

LIVE = MatrixEngine(PolicyMatrix.default())
YES = Decision(True, "audit_view", "granted")
NO = Decision(False, "audit_view", "no_role_grants")


def shadowed(shadow, live=LIVE, **options):
    registry, clock = CollectorRegistry(), ManualClock()
    engine = ShadowEngine(live, shadow, registry=registry, clock=clock, **options)

    def counted(outcome, capability="audit_view"):
        labels = {"capability": capability, "outcome": outcome}
        return registry.get_sample_value("policy_shadow_decisions_total", labels)

    return engine, counted, clock


@pytest.mark.parametrize("roles", [("Support",), ("Cashier",)])
@pytest.mark.parametrize("answer", [YES, NO, None, "yes", 1, Decision(1, "audit_view", "x"), ValueError("secret")])
def test_the_live_answer_stands_whatever_the_shadow_does(roles, answer):
    engine, _, _ = shadowed(ScriptedEngine(answer))
    assert engine.decide(context(*roles), "audit_view", "r") is LIVE.decide(context(*roles), "audit_view", "r")


@pytest.mark.parametrize(
    ("answer", "roles", "outcome"),
    [
        (YES, ("Support",), "agree"),
        (NO, ("Cashier",), "agree"),
        (Decision(False, "audit_view", "another reason"), ("Cashier",), "agree"),
        (NO, ("Support",), "differ"),
        (YES, ("Cashier",), "differ"),
        (RuntimeError("secret"), ("Support",), "error"),
        (None, ("Cashier",), "error"),
        (Decision(0, "audit_view", "falsy"), ("Cashier",), "error"),
        (Decision("yes", "audit_view", "truthy"), ("Support",), "error"),
    ],
)
def test_each_comparison_is_counted_once(answer, roles, outcome):
    shadow = ScriptedEngine(answer)
    engine, counted, _ = shadowed(shadow)
    engine.decide(context(*roles), Capability.AUDIT_VIEW, "r-1")
    assert [counted(each) for each in ("agree", "differ", "error")] == [
        1 if each == outcome else None for each in ("agree", "differ", "error")
    ]
    assert shadow.asked == [(context(*roles), "audit_view", "r-1")]
    assert type(shadow.asked[0][1]) is str


@pytest.mark.parametrize("answer", [None, "yes", Decision(1, "audit_view", "truthy")])
def test_a_live_answer_that_allows_nothing_is_compared_as_a_denial(answer):
    engine, counted, _ = shadowed(ScriptedEngine(NO), live=ScriptedEngine(answer))
    assert engine.decide(context(), "audit_view") is answer
    assert counted("agree") == 1


def test_a_difference_is_logged_with_what_was_asked_and_no_payload(caplog):
    engine, _, _ = shadowed(ScriptedEngine(NO))
    engine.decide(context("Support", "Cashier"), "audit_view", {"card": "4111"})
    (record,) = caplog.records
    assert (record.levelname, record.action, record.message) == (
        "WARNING",
        "policy_shadow_differs",
        "the shadow engine differs",
    )
    assert (record.capability, record.roles, record.live, record.trace_id) == (
        "audit_view",
        ["Cashier", "Support"],
        True,
        TRACE,
    )
    assert "4111" not in str(vars(record))


@pytest.mark.parametrize(("answer", "failure"), [(OSError("secret"), "OSError"), (None, "no_decision")])
def test_a_failure_is_logged_by_its_kind_alone(answer, failure, caplog):
    engine, _, _ = shadowed(ScriptedEngine(answer))
    engine.decide(context("Support"), "audit_view")
    (record,) = caplog.records
    assert (record.action, record.failure, record.capability) == ("policy_shadow_failed", failure, "audit_view")
    assert record.message == "the shadow engine failed"
    assert "secret" not in str(vars(record))


def test_log_lines_are_bounded_and_counts_are_not(caplog):
    engine, counted, clock = shadowed(ScriptedEngine(NO))

    def burst():
        caplog.clear()
        for _ in range(5):
            engine.decide(context("Support"), "audit_view")
            engine.decide(context("Support"), "customer_view")
        return len(caplog.records)

    assert burst() == 2
    assert burst() == 0
    clock.advance(1)
    assert burst() == 2
    assert counted("differ") == 15


def test_the_bound_of_log_lines_is_a_setting(caplog):
    engine, _, _ = shadowed(ScriptedEngine(NO), logs_per_second=3)
    for _ in range(5):
        engine.decide(context("Support"), "audit_view")
    assert len(caplog.records) == 3


def test_an_interrupt_is_no_error_of_the_shadow():
    engine, counted, _ = shadowed(ScriptedEngine(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        engine.decide(context("Support"), "audit_view")
    assert counted("error") is None


def test_a_live_engine_that_raises_is_not_compared():
    shadow = ScriptedEngine(YES)
    engine, _, _ = shadowed(shadow, live=ScriptedEngine(RuntimeError("live")))
    with pytest.raises(RuntimeError, match="live"):
        engine.decide(context(), "audit_view")
    assert shadow.asked == []


@pytest.mark.parametrize("answer", [YES, OSError("timeout")])
def test_a_slow_shadow_rests(answer):
    clock = ManualClock()
    shadow = ScriptedEngine(answer, before=lambda: clock.advance(0.1))
    registry = CollectorRegistry()
    engine = ShadowEngine(LIVE, shadow, registry=registry, clock=clock, slow_after=0.05, rest=2)
    for _ in range(3):
        assert engine.decide(context("Support"), "audit_view").allowed
    assert len(shadow.asked) == 1
    clock.advance(1.9)
    engine.decide(context("Support"), "audit_view")
    assert len(shadow.asked) == 1
    clock.advance(0.1)
    engine.decide(context("Support"), "audit_view")
    assert len(shadow.asked) == 2


def test_a_shadow_that_is_just_in_time_does_not_rest():
    clock = ManualClock()
    shadow = ScriptedEngine(YES, before=lambda: clock.advance(0.5))
    engine = ShadowEngine(LIVE, shadow, registry=CollectorRegistry(), clock=clock, slow_after=0.5)
    for _ in range(3):
        engine.decide(context("Support"), "audit_view")
    assert len(shadow.asked) == 3


def test_a_fiftieth_of_a_second_is_slow_by_default_and_the_rest_is_five_seconds():
    clock = ManualClock()
    shadow = ScriptedEngine(YES, before=lambda: clock.advance(0.051))
    engine = ShadowEngine(LIVE, shadow, registry=CollectorRegistry(), clock=clock)
    for pause in (0, 4.9, 0.2):
        clock.advance(pause)
        engine.decide(context("Support"), "audit_view")
    assert len(shadow.asked) == 2
    quick = ScriptedEngine(YES, before=lambda: clock.advance(0.049))
    engine = ShadowEngine(LIVE, quick, registry=CollectorRegistry(), clock=clock)
    for _ in range(3):
        engine.decide(context("Support"), "audit_view")
    assert len(quick.asked) == 3


def test_it_works_on_the_machines_clock():
    registry = CollectorRegistry()
    engine = ShadowEngine(LIVE, LIVE, registry=registry)
    engine.decide(context("Support"), "audit_view")
    labels = {"capability": "audit_view", "outcome": "agree"}
    assert registry.get_sample_value("policy_shadow_decisions_total", labels) == 1


def test_capability_labels_are_bounded():
    engine, counted, _ = shadowed(LIVE)
    for n in range(250):
        engine.decide(context(), f"made_up_{n}")
    assert counted("agree", "made_up_199") == 1
    assert counted("agree", "_overflow") == 50


def test_a_guard_times_the_pair_under_its_own_name_and_denies_by_the_live_engine():
    registry = CollectorRegistry()
    engine = ShadowEngine(LIVE, ScriptedEngine(YES), registry=registry, clock=ManualClock())
    guard = PolicyGuard(engine, registry=registry)
    for _ in range(3):
        with pytest.raises(ApiError) as caught:
            guard.check(context("Support"), "payment_process")
    assert caught.value.missing_role == "payment_access" == engine.denial_name("payment_process")
    assert registry.get_sample_value("capability_eval_seconds_count", {"engine": "matrix+shadow"}) == 3
    assert registry.get_sample_value("capability_eval_seconds_count", {"engine": "matrix"}) is None


def test_pinning_pins_the_live_engine_and_goes_on_counting(tmp_path):
    still, _, _ = shadowed(LIVE)
    assert still.pinned() is still
    path, clock = tmp_path / "policy.toml", ManualClock()
    path.write_text('[roles]\nSupport = ["audit_view"]\n')
    moving = PolicyFile(path, clock=clock, registry=CollectorRegistry())
    engine, counted, _ = shadowed(ScriptedEngine(YES), live=moving)
    pinned = engine.pinned()
    path.write_text('[roles]\nAdmin = ["audit_view"]\n[denial_names]\naudit_view = "auditing"\n')
    assert moving.reload().outcome == "loaded"
    assert (pinned.name, pinned.denial_name("audit_view")) == ("matrix_file+shadow", "audit_view")
    assert pinned.decide(context("Support"), "audit_view").allowed
    assert not engine.decide(context("Support"), "audit_view").allowed
    assert engine.denial_name("audit_view") == "auditing"
    assert (counted("agree"), counted("differ")) == (1, 1)
