"""The Cedar engine denies by default, says why, and denies whenever anything went wrong."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.backends.cedar import CedarEngine, matrix_to_cedar
from tenaudit.errors import ApiError
from tenaudit.policy import DENIAL_NAMES, Decision, MatrixEngine, PolicyGuard, PolicyMatrix
from tenaudit.testing.clock import ManualClock
from tests.unit.backends.cedar_parts import OTHER, POLICIES, SCHEMA, TENANT, caller, invoice

ENGINE = CedarEngine.from_text(POLICIES, SCHEMA)
MAX_LONG = 2**63 - 1


def test_a_permit_grants_and_is_named() -> None:
    granted = Decision(True, "refund", "granted", frozenset({"Cashier"}), policies=("till",))
    assert ENGINE.decide(caller("Cashier", "Support"), "refund", invoice()) == granted


def test_a_policy_without_an_id_is_named_by_its_place() -> None:
    decision = ENGINE.decide(caller("Manager"), "invoice_view", invoice())
    assert (decision.allowed, decision.policies) == (True, ("policies:9",))


def test_a_default_deny_names_each_role_that_alone_would_flip_it() -> None:
    decision = ENGINE.decide(caller("Support"), "refund", invoice())
    assert decision == Decision(False, "refund", "no_role_grants", would_grant=frozenset({"Cashier", "Manager"}))
    # The till's limit is part of the rule, so a cashier would be denied too.
    assert ENGINE.decide(caller("Cashier"), "refund", invoice(total=5001)).would_grant == {"Manager"}


@pytest.mark.parametrize(("trials", "told"), [(0, set()), (1, {"Cashier"}), (2, {"Cashier", "Manager"})])
def test_the_roles_tried_are_bounded_and_can_be_none(trials: int, told: set[str]) -> None:
    engine = CedarEngine.from_text(POLICIES, SCHEMA, trials=trials, roles=["Cashier", "Manager", "Support"])
    decision = engine.decide(caller(), "refund", invoice())
    assert (decision.reason, decision.would_grant) == ("no_role_grants", told)


def test_a_forbid_wins_and_is_named() -> None:
    forbidden = Decision(False, "refund", "forbidden_by_policy", policies=("paid; done",))
    assert ENGINE.decide(caller("Cashier"), "refund", invoice(paid=True)) == forbidden


def test_a_forbid_that_errs_does_not_let_the_permit_stand() -> None:
    # The product overflows, so Cedar skips the forbid "overflow" and would allow by the manager's permit.
    decision = ENGINE.decide(caller("Manager"), "refund", invoice(total=MAX_LONG))
    assert decision == Decision(False, "refund", "engine_error", policies=("overflow",))
    told = ENGINE.explain(caller("Manager"), "refund", invoice(total=MAX_LONG))
    assert told.errors[0].startswith("error while evaluating policy `overflow`: integer overflow")
    assert [policy.name for policy in told.policies] == ["overflow"]


def test_a_role_is_tried_beside_those_that_are_held() -> None:
    both = 'permit (principal in Tenaudit::Role::"A", action, resource) when { principal in Tenaudit::Role::"B" };'
    engine = CedarEngine.from_text(both, SCHEMA)
    assert engine.decide(caller("A"), "audit_view").would_grant == {"B"}
    assert engine.decide(caller(), "audit_view").would_grant == set()


def test_only_a_permit_for_a_role_is_granted_by_it() -> None:
    permit = '@id("p") permit (principal is Tenaudit::Actor in Tenaudit::Role::"A", action, resource);'
    engine = CedarEngine.from_text(f"{permit} permit (principal, action, resource);", SCHEMA)
    assert engine.decide(caller("A", "B"), "audit_view").granted_by == {"A"}
    assert engine.decide(caller("B"), "audit_view").granted_by == set()
    forbid = permit.replace("permit", "forbid")
    assert CedarEngine.from_text(forbid, SCHEMA).decide(caller("A"), "audit_view").granted_by == set()


@pytest.mark.parametrize(
    "resource",
    [
        {"type": "Actor", "id": "u-9", "attributes": {"tenant": str(TENANT), "type": "user"}},
        {"type": "Tenaudit::Role", "id": "Manager"},
    ],
)
def test_an_actor_or_a_role_is_no_resource_even_where_the_schema_says_so(resource: object) -> None:
    schema = SCHEMA.replace("resource: [Tenant]", "resource: [Tenant, Actor, Role]")
    engine = CedarEngine.from_text("permit (principal, action, resource);", schema)
    assert engine.decide(caller(), "audit_view").allowed
    assert engine.decide(caller(), "audit_view", resource).reason == "engine_error"


def test_a_trial_that_errs_grants_nothing() -> None:
    forbid = 'forbid (principal in Tenaudit::Role::"Admin", action, resource) when { resource.total + 1 > 0 };'
    permit = 'permit (principal in Tenaudit::Role::"Admin", action, resource);'
    schema = SCHEMA.replace("resource: [Tenant]", "resource: [Invoice]")
    engine = CedarEngine.from_text(forbid + permit, schema)
    assert engine.decide(caller(), "refund", invoice(total=MAX_LONG)).reason == "no_role_grants"
    assert engine.decide(caller(), "refund", invoice(total=MAX_LONG)).would_grant == set()
    assert engine.decide(caller("Admin"), "refund", invoice(total=MAX_LONG)).reason == "engine_error"


def test_without_a_resource_the_tenant_is_meant() -> None:
    decision = ENGINE.decide(caller("Support", client_ip="10.1.2.3"), "audit_view")
    assert (decision.allowed, decision.policies) == (True, ("inside",))
    given = {"type": "Tenaudit::Tenant", "id": TENANT}
    assert ENGINE.decide(caller("Support", client_ip="10.1.2.3"), "audit_view", given) == decision


@pytest.mark.parametrize(
    ("client_ip", "allowed"),
    [
        ("10.255.0.1", True),
        ("::ffff:10.0.0.1", True),
        ("11.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("testclient", False),
        ("", False),
        (None, False),
    ],
)
def test_policies_see_the_callers_address_when_it_is_one(client_ip: str | None, allowed: bool) -> None:
    decision = ENGINE.decide(caller("Support", client_ip=client_ip), "audit_view")
    assert (decision.allowed, decision.reason) == (allowed, "granted" if allowed else "no_role_grants")


def test_policies_see_every_fact_of_the_context() -> None:
    facts = 'context.tenant == principal.tenant && context.auth_method == "jwt" && context.session_id == "s"'
    more = 'context.user_agent == "curl" && principal.type == "user" && principal == Tenaudit::Actor::"u-1"'
    guarded = f"context has session_id && context has user_agent && {facts} && {more}"
    engine = CedarEngine.from_text(f"permit (principal, action, resource) when {{ {guarded} }};", SCHEMA)
    ctx = caller(auth_method="jwt", session_id="s", user_agent="curl")
    assert engine.decide(ctx, "audit_view").allowed
    assert not engine.decide(caller(auth_method="jwt", session_id="t", user_agent="curl"), "audit_view").allowed


def test_a_reference_to_an_actor_is_an_attribute() -> None:
    owner = {"type": "Tenaudit::Actor", "id": "u-1"}
    assert ENGINE.decide(caller(), "invoice_view", invoice(owner=owner, lines=[1, 2])).policies == ("own",)
    assert not ENGINE.decide(caller(actor="u-2"), "invoice_view", invoice(owner=owner)).allowed


@pytest.mark.parametrize(
    "resource",
    [
        invoice(tenant=str(OTHER)),
        invoice(tenant=OTHER),
        invoice(tenant=None),
        invoice(tenant=""),
        invoice(tenant=[str(TENANT)]),
        {"type": "Tenant", "id": str(OTHER)},
        {"type": "Tenaudit::Tenant", "id": OTHER},
        # Cedar would refuse these for other reasons: the tenant is looked at first.
        {"type": "NoSuchType", "id": "1", "attributes": {"tenant": str(OTHER)}},
        {"type": "not a type", "id": "1", "attributes": {"tenant": str(OTHER), "total": object()}},
    ],
)
def test_a_resource_of_another_tenant_is_denied_before_cedar_is_asked(resource: object) -> None:
    decision = ENGINE.decide(caller("Manager"), "refund", resource)
    assert decision == Decision(False, "refund", "foreign_tenant")


@pytest.mark.parametrize("tenant", [TENANT, str(TENANT), str(TENANT).upper()])
def test_the_callers_tenant_may_be_spelt_in_any_case_and_policies_see_one(tenant: object) -> None:
    same = "permit (principal, action, resource is Tenaudit::Invoice) when { resource.tenant == context.tenant };"
    assert CedarEngine.from_text(same, SCHEMA).decide(caller(), "refund", invoice(tenant=tenant)).allowed


@pytest.mark.parametrize(
    "resource",
    [
        "i-1",
        ["Invoice", "i-1"],
        {},
        {"type": "Invoice"},
        {"type": "Invoice", "id": 7, "attributes": {}},
        {"type": 7, "id": "i-1"},
        {"type": "Invoice", "id": "i-1", "attributes": ["tenant"]},
        {"type": "Invoice", "id": "i-1", "attrs": {}},
        {**invoice(), "parents": []},
        {"type": "Actor", "id": "u-1", "attributes": {"tenant": str(TENANT), "type": "user"}},
        {"type": "Tenaudit::Role", "id": "Manager"},
        {"type": "Action", "id": "refund"},
        {"type": "Tenant", "id": str(TENANT)},
        {"type": "Tenant", "id": str(TENANT), "attributes": {"x": 1}},
        {"type": "Invoice", "id": "i-1", "attributes": {"tenant": str(TENANT)}},
        {"type": "Nothing", "id": "i-1"},
        {"type": "Invoice} ", "id": "i-1"},
        invoice(total="100"),
        invoice(total=1.5),
        invoice(total=float("nan")),
        invoice(total=MAX_LONG + 1),
        invoice(total=object()),
        invoice(more=1),
        invoice(owner={"__entity": {"type": "Tenaudit::Actor", "id": "u-1"}}),
        invoice(lines=[{"__expr": "1"}]),
        invoice(owner={"type": "Tenaudit::Role", "id": "Manager"}),
        invoice(owner={"type": "Tenaudit::Actor", "id": "\ud800"}),
    ],
)
def test_a_resource_that_does_not_fit_is_denied(resource: object) -> None:
    assert ENGINE.decide(caller("Manager"), "refund", resource) == Decision(False, "refund", "engine_error")
    assert ENGINE.explain(caller("Manager"), "refund", resource).errors


def test_attributes_without_a_bottom_are_denied() -> None:
    deep: list[object] = []
    deep.append(deep)
    assert ENGINE.decide(caller("Manager"), "refund", invoice(lines=deep)).reason == "engine_error"


def test_a_capability_that_the_schema_has_not_is_denied_by_that_name() -> None:
    assert ENGINE.decide(caller("Manager"), "no_such") == Decision(False, "no_such", "unknown_capability")
    assert ENGINE.decide(caller("Manager"), 'refund"') == Decision(False, 'refund"', "unknown_capability")


def test_a_group_of_actions_is_no_capability() -> None:
    assert ENGINE.capabilities == ("audit_view", "invoice_view", "refund")
    assert ENGINE.decide(caller("Manager"), "money", invoice()).reason == "unknown_capability"


def test_anonymous_actors_are_judged_by_the_policies_unless_an_actor_is_required() -> None:
    anonymous = caller("Manager", actor=None)
    assert ENGINE.decide(anonymous, "refund", invoice()).allowed
    strict = CedarEngine.from_text(POLICIES, SCHEMA, require_actor=True)
    assert strict.decide(anonymous, "refund", invoice()) == Decision(False, "refund", "anonymous_actor")
    assert strict.decide(caller("Manager"), "refund", invoice()).allowed


HOSTILE = [
    '"',
    "\\",
    '\\"',
    "a\nb",
    "a\r\nb",
    "\x00",
    "é",
    "\U0001d518\u202e",
    "*",
    '"; permit (principal, action, resource); //',
    'u", "parents": [{"type": "Tenaudit::Role", "id": "Manager"}], "x": "',
    'Manager"::x',
    "x" * 100_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_of_a_caller_becomes_a_policy_a_role_or_an_attribute(text: str) -> None:
    everywhere = caller(text, actor=text, auth_method=text, session_id=text, user_agent=text, client_ip=text)
    owned = {**invoice(owner={"type": "Tenaudit::Actor", "id": text}), "id": text}
    assert ENGINE.decide(everywhere, "refund", owned).reason == "no_role_grants"
    assert ENGINE.decide(everywhere, "invoice_view", owned).policies == ("own",)
    assert ENGINE.decide(caller(actor="u-2"), "invoice_view", owned).reason == "no_role_grants"
    assert ENGINE.decide(caller(text), text, owned).reason == "unknown_capability"


def test_text_that_is_no_unicode_is_denied() -> None:
    assert ENGINE.decide(caller("Manager", actor="\ud800"), "refund", invoice()).reason == "engine_error"


def test_an_explanation_has_the_policies_texts() -> None:
    told = ENGINE.explain(caller("Cashier"), "refund", invoice(paid=True))
    assert told.errors == ()
    (policy,) = told.policies
    assert (policy.effect, policy.source, policy.line, policy.role) == ("forbid", "policies", 10, None)
    assert policy.text.startswith('@id("paid; done")\nforbid (')
    assert json.loads(json.dumps(told.to_json())) == {
        "allowed": False,
        "capability": "refund",
        "reason": "forbidden_by_policy",
        "granted_by": [],
        "would_grant": [],
        "policies": [{"name": "paid; done", "source": "policies", "line": 10, "text": policy.text}],
        "errors": [],
    }


def test_errors_are_logged_once_a_second_for_a_capability_and_quote_nothing(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    engine = CedarEngine.from_text(POLICIES, SCHEMA, clock=clock)
    with caplog.at_level(logging.ERROR, "tenaudit.policy"):
        for capability in ("refund", "refund", "invoice_view"):
            engine.decide(caller("Manager"), capability, invoice(total="secret"))
        clock.advance(1.0)
        engine.decide(caller("Manager"), "refund", invoice(total=MAX_LONG))
    assert [(r.capability, r.policies, r.action) for r in caplog.records] == [  # type: ignore[attr-defined]
        ("refund", [], "cedar_engine_error"),
        ("invoice_view", [], "cedar_engine_error"),
        ("refund", ["overflow"], "cedar_engine_error"),
    ]
    assert {r.trace_id for r in caplog.records} == {"0" * 31 + "1"}  # type: ignore[attr-defined]
    assert "secret" not in str([vars(record) for record in caplog.records])


def test_threads_share_one_engine() -> None:
    cases = [
        (caller("Manager", actor=f"u-{n}"), invoice(total=n)) if n % 3 else (caller(actor=f"u-{n}"), invoice(total=n))
        for n in range(240)
    ]
    wanted = [ENGINE.decide(ctx, "refund", resource) for ctx, resource in cases]
    assert {decision.reason for decision in wanted} == {"granted", "no_role_grants"}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda case: ENGINE.decide(case[0], "refund", case[1]), cases * 3))
    assert found == wanted * 3


def test_the_default_matrix_in_cedar_answers_like_the_matrix() -> None:
    matrix = PolicyMatrix.default()
    engine = CedarEngine.from_text(*matrix_to_cedar(matrix), denial_names=DENIAL_NAMES, roles=matrix.roles)
    reference = MatrixEngine(matrix)
    assert engine.capabilities == matrix.capabilities
    for role in (*matrix.roles, "Owner"):
        for capability in matrix.capabilities:
            ours, theirs = (each.decide(caller(role), capability) for each in (engine, reference))
            assert (ours.allowed, ours.reason, ours.granted_by) == (theirs.allowed, theirs.reason, theirs.granted_by)
            assert ours.allowed or ours.would_grant == theirs.would_grant
            assert engine.denial_name(capability) == reference.denial_name(capability)


def test_a_guard_turns_its_denial_into_an_error() -> None:
    engine = CedarEngine.from_text(POLICIES, SCHEMA, denial_names={"refund": "refund_access"})
    registry = CollectorRegistry()
    guard = PolicyGuard(engine, registry=registry, disclose="roles")
    with pytest.raises(ApiError, match="Cashier, Manager") as denied:
        guard.check(caller("Support"), "refund", invoice())
    assert (denied.value.status, denied.value.missing_role) == (403, "refund_access")
    assert guard.check(caller("Manager"), "refund", invoice()).allowed
    assert registry.get_sample_value("capability_eval_seconds_count", {"engine": "cedar"}) == 2


def test_an_id_and_an_attribute_may_be_a_uuid() -> None:
    given = {**invoice(note=UUID(int=7)), "id": UUID(int=7)}
    assert ENGINE.decide(caller("Manager"), "refund", given).allowed
