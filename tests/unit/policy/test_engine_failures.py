"""Engines that panic, that lie in a `Decision`, or that stop the task: what each of the three askers makes of it."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.errors import ApiError
from tenaudit.policy import Decision, MatrixEngine, PolicyGuard, PolicyMatrix, RoleCompat, ShadowEngine
from tests.unit.policy.policy_parts import ScriptedEngine, context


class PanicError(BaseException):
    """As an engine in Rust panics: no `Exception`."""


class Unreadable(Decision):
    """A decision that cannot even be read."""

    __slots__ = ()

    @property
    def allowed(self):
        raise RuntimeError("torn")


class Naming(ScriptedEngine):
    """Denies, and raises *shown* when it is asked for the name."""

    def __init__(self, shown):
        super().__init__(Decision(False, "gdpr_manage", "no_role_grants"), shown)

    def denial_name(self, capability):
        return ScriptedEngine(self.shown).decide(None, capability)


STOPS = [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), asyncio.CancelledError()]
stops = pytest.mark.parametrize("stop", STOPS, ids=lambda stop: type(stop).__name__)
LIVE = MatrixEngine(PolicyMatrix.default())


def denial(engine, **options):
    with pytest.raises(ApiError) as caught:
        PolicyGuard(engine, registry=CollectorRegistry(), **options).check(context("Admin"), "gdpr_manage")
    return caught.value


def test_an_engine_that_panics_denies():
    assert denial(ScriptedEngine(PanicError("lost"))).code == "missing_role"


def test_an_engine_that_panics_at_a_name_denies_with_the_capability():
    engine = Naming(PanicError("lost"))
    assert denial(engine).missing_role == "gdpr_manage"


@pytest.mark.parametrize("capability", [["gdpr_manage"], None, 5])
def test_a_denial_of_no_capability_is_one_of_what_was_asked(capability):
    told = []
    error = denial(
        ScriptedEngine(Decision(False, capability, "no")), on_denial=lambda _, decision: told.append(decision)
    )
    assert (error.status, error.missing_role) == (403, "shown")
    assert [(decision.capability, decision.reason) for decision in told] == [("gdpr_manage", "engine_error")]


@pytest.mark.parametrize("roles", [5, frozenset({1, "Admin"})])
def test_a_denial_with_odd_roles_stays_a_denial(roles):
    decision = Decision(False, "gdpr_manage", "no", frozenset(), roles)
    assert denial(ScriptedEngine(decision), disclose="roles").status == 403


def test_a_name_that_is_no_text_becomes_one():
    assert denial(ScriptedEngine(Decision(False, "gdpr_manage", "no"), shown=7)).missing_role == "7"


@pytest.mark.parametrize("answer", [PanicError("lost"), object.__new__(Unreadable)], ids=["panics", "unreadable"])
def test_a_shadow_that_panics_or_cannot_be_read_changes_no_answer(answer):
    registry = CollectorRegistry()
    engine = ShadowEngine(LIVE, ScriptedEngine(answer), registry=registry)
    assert engine.decide(context("Admin"), "gdpr_manage").allowed is True
    labels = {"capability": "gdpr_manage", "outcome": "error"}
    assert registry.get_sample_value("policy_shadow_decisions_total", labels) == 1


def test_the_old_list_answers_where_the_engine_panics():
    compat = RoleCompat(
        ["Admin"], "gdpr_manage", engine=ScriptedEngine(PanicError("lost")), registry=CollectorRegistry()
    )
    assert compat.allows(context("Admin"))
    assert compat.report().errors == 1


@stops
def test_what_ends_a_task_or_the_process_passes_the_guard(stop):
    guard = PolicyGuard(ScriptedEngine(stop), registry=CollectorRegistry())
    with pytest.raises(type(stop)):
        guard.check(context("Admin"), "gdpr_manage")
    with pytest.raises(type(stop)):
        PolicyGuard(Naming(stop), registry=CollectorRegistry()).check(context("Admin"), "gdpr_manage")


@stops
def test_what_ends_a_task_or_the_process_passes_a_shadow_and_an_old_list(stop):
    with pytest.raises(type(stop)):
        ShadowEngine(LIVE, ScriptedEngine(stop), registry=CollectorRegistry()).decide(context("Admin"), "gdpr_manage")
    with pytest.raises(type(stop)):
        RoleCompat(["Admin"], "gdpr_manage", engine=ScriptedEngine(stop), registry=CollectorRegistry()).allows(
            context("Admin")
        )


def test_each_outcome_of_a_site_is_there_before_its_first_check():
    registry = CollectorRegistry()
    RoleCompat(["Admin"], "gdpr_manage", name="erase", registry=registry)
    for outcome in ("agree_allow", "agree_deny", "only_roles", "only_capability"):
        labels = {"site": "erase", "outcome": outcome}
        assert registry.get_sample_value("role_compat_checks_total", labels) == 0
