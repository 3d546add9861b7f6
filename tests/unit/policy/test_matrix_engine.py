"""The matrix engine: decisions that explain themselves."""

from __future__ import annotations

from uuid import UUID

import pytest

from tenaudit.policy import Capability, Decision, MatrixEngine, PolicyMatrix
from tenaudit.security import Actor, SecurityContext, TraceContext


def context(*roles, actor="u-1"):
    trace = TraceContext("0" * 31 + "1", None, False)
    who = Actor(actor) if actor else Actor(None, "anonymous")
    return SecurityContext(UUID(int=1), who, frozenset(roles), trace)


ENGINE = MatrixEngine(PolicyMatrix.default())


def test_a_grant_names_the_roles_that_gave_it():
    decision = ENGINE.decide(context("Cashier", "Support", "root"), "customer_view")
    assert (decision.allowed, decision.reason) == (True, "granted")
    assert decision.granted_by == {"Cashier", "Support"}


def test_a_default_deny_names_the_roles_that_would_have_granted():
    decision = ENGINE.decide(context("Cashier"), "gdpr_manage")
    would = frozenset({"SuperAdmin", "Admin"})
    assert decision == Decision(False, "gdpr_manage", "no_role_grants", frozenset(), would)


@pytest.mark.parametrize("roles", [(), ("root",), ("superadmin",)])
def test_roles_that_the_matrix_does_not_know_grant_nothing(roles):
    assert ENGINE.decide(context(*roles), "inventory_view").reason == "no_role_grants"


def test_a_capability_that_the_matrix_does_not_know_is_denied_to_all():
    decision = ENGINE.decide(context("SuperAdmin"), "launch_rockets")
    assert decision == Decision(False, "launch_rockets", "unknown_capability", frozenset(), frozenset())


def test_an_anonymous_actor_is_refused_when_one_is_required():
    strict = MatrixEngine(PolicyMatrix.default(), require_actor=True)
    decision = strict.decide(context("SuperAdmin", actor=None), Capability.AUDIT_VIEW)
    assert (decision.allowed, decision.reason) == (False, "anonymous_actor")
    assert strict.decide(context("SuperAdmin"), "audit_view").allowed
    assert ENGINE.decide(context("SuperAdmin", actor=None), "audit_view").allowed


def test_a_decision_names_its_capability_as_a_plain_string():
    strict = MatrixEngine(PolicyMatrix.default(), require_actor=True)
    for engine, ctx in ((ENGINE, context("Admin")), (ENGINE, context()), (strict, context(actor=None))):
        assert type(engine.decide(ctx, Capability.GDPR_MANAGE).capability) is str


def test_a_decision_cannot_be_changed():
    with pytest.raises(AttributeError):
        ENGINE.decide(context(), "audit_view").allowed = True


def test_answers_stay_right_past_what_the_engine_remembers():
    engine = MatrixEngine(PolicyMatrix.default())
    for n in range(5000):
        assert not engine.decide(context(f"r{n}"), "gdpr_manage").allowed
    same = [
        engine.decide(context(role), "gdpr_manage") is engine.decide(context(role), "gdpr_manage")
        for role in ("r4095", "r4096")
    ]
    assert same == [True, False]
    assert engine.decide(context("Admin", "last"), "gdpr_manage").granted_by == {"Admin"}


def test_the_denial_name_is_the_one_of_the_table():
    assert ENGINE.denial_name("payment_process") == "payment_access"
    assert ENGINE.denial_name("gdpr_manage") == "gdpr_manage"
