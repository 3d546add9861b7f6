"""An old role list beside its capability: one decides, and every difference is counted, logged and reported."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.errors import ApiError, ConfigurationError
from tenaudit.policy import (
    Capability,
    CompatDifference,
    Decision,
    MatrixEngine,
    PolicyFile,
    PolicyGuard,
    PolicyMatrix,
    Role,
    RoleCompat,
    RoleCompatReport,
    ShadowEngine,
    role_compat_report,
)
from tenaudit.policy.guard import BOUND_GUARD
from tenaudit.testing.clock import ManualClock
from tests.unit.policy.policy_parts import TRACE, ScriptedEngine, context

MATRIX = PolicyMatrix.default()
# payment_process is granted to SuperAdmin, Admin, Manager and Cashier.
OLD = ["SuperAdmin", "Admin", "Cashier", "Support"]
SEEN = {"agree_allow": "Cashier", "agree_deny": "Inventory", "only_roles": "Support", "only_capability": "Manager"}


def compat(roles=OLD, capability="payment_process", **options):
    registry = CollectorRegistry()
    given = {"matrix": MATRIX, **options} if "engine" not in options else options
    made = RoleCompat(roles, capability, registry=registry, clock=ManualClock(), **given)

    def counted(outcome, site="payment_process"):
        return registry.get_sample_value("role_compat_checks_total", {"site": site, "outcome": outcome})

    return made, counted


@pytest.mark.parametrize(("outcome", "role"), SEEN.items())
def test_each_check_is_counted_by_its_outcome(outcome, role):
    made, counted = compat()
    made.allows(context(role))
    assert {each: counted(each) for each in SEEN} == {each: 1 if each == outcome else 0 for each in SEEN}
    report = made.report()
    assert {each: getattr(report, each) for each in SEEN} == {each: int(each == outcome) for each in SEEN}
    assert (report.checks, report.differed, report.errors) == (1, int(outcome.startswith("only")), 0)


@pytest.mark.parametrize(
    ("decide", "allowed"), [("roles", OLD), ("capability", ["SuperAdmin", "Admin", "Manager", "Cashier"])]
)
def test_the_side_that_is_named_decides(decide, allowed):
    made, _ = compat(decide=decide)
    assert [role.value for role in Role if made.allows(context(role.value))] == [
        role.value for role in Role if role.value in allowed
    ]


def test_the_old_list_decides_unless_another_is_named():
    made, _ = compat()
    assert made.allows(context("Support"))
    assert made.report().decides == "roles"


def test_several_roles_are_allowed_by_any_one():
    made, counted = compat()
    assert made.allows(context("Inventory", "Cashier"))
    assert counted("agree_allow") == 1
    assert not made.allows(context())


def test_the_resource_and_the_capability_reach_the_engine():
    engine = ScriptedEngine(Decision(True, "payment_process", "granted"))
    made, _ = compat(engine=engine)
    made.allows(context("Cashier"), "order-7")
    made.check(context("Cashier"), "order-8")
    assert [asked[1:] for asked in engine.asked] == [("payment_process", "order-7"), ("payment_process", "order-8")]


def test_a_difference_is_logged_once_a_second(caplog):
    made, counted = compat(name="refunds")
    for _ in range(3):
        made.allows(context("Support", "Inventory"), {"card": "4111"})
    (record,) = caplog.records
    assert (record.levelname, record.action, record.outcome) == ("WARNING", "role_compat_differs", "only_roles")
    assert record.message == "an old role list and its capability differ"
    assert (record.site, record.capability, record.roles, record.trace_id) == (
        "refunds",
        "payment_process",
        ["Inventory", "Support"],
        TRACE,
    )
    assert "4111" not in str(vars(record))
    assert counted("only_roles", "refunds") == 3


def test_agreement_is_not_logged(caplog):
    made, _ = compat()
    made.allows(context("Cashier"))
    made.allows(context("Inventory"))
    assert caplog.records == []


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (RuntimeError("secret"), "RuntimeError"),
        (None, "no_decision"),
        ("yes", "no_decision"),
        (Decision(1, "payment_process", "truthy"), "no_decision"),
        (Decision(0, "payment_process", "falsy"), "no_decision"),
    ],
)
@pytest.mark.parametrize(("decide", "allowed"), [("roles", True), ("capability", False)])
def test_an_engine_that_errs_denies_and_the_old_list_still_answers(answer, failure, decide, allowed, caplog):
    made, counted = compat(engine=ScriptedEngine(answer), decide=decide)
    for _ in range(2):
        assert made.allows(context("Cashier")) is allowed
    made.allows(context("Inventory"))
    assert (counted("only_roles"), counted("agree_deny")) == (2, 1)
    assert made.report().errors > 0
    assert [record.action for record in caplog.records] == ["role_compat_failed", "role_compat_differs"]
    record = caplog.records[0]
    assert (record.failure, record.site, record.message) == (
        failure,
        "payment_process",
        "the engine of a role check failed",
    )
    assert "secret" not in caplog.text


def test_each_error_is_counted():
    made, _ = compat(engine=ScriptedEngine(RuntimeError()))
    for _ in range(3):
        made.allows(context("Inventory"))
    report = made.report()
    assert (report.errors, report.agree_deny, report.differed) == (3, 3, 0)
    assert not report.safe_to_remove(1)


def guarded(**options):
    registry = CollectorRegistry()
    return PolicyGuard(registry=registry, **options), registry


def test_a_check_is_denied_counted_and_told_as_any_other():
    told = []
    guard, registry = guarded(on_denial=lambda ctx, decision: told.append(decision), disclose="roles")
    made, counted = compat()
    token = BOUND_GUARD.set(guard)
    try:
        assert made.check(context("Support")) == Decision(
            True, "payment_process", "role_listed", frozenset({"Support"}), frozenset(OLD)
        )
        with pytest.raises(ApiError) as caught:
            made.check(context("Manager"))
    finally:
        BOUND_GUARD.reset(token)
    error = caught.value
    assert (error.status, error.code, error.missing_role) == (403, "missing_role", "payment_access")
    assert error.message == "Needs one of these roles: Admin, Cashier, SuperAdmin, Support."
    assert told == [Decision(False, "payment_process", "no_role_listed", frozenset(), frozenset(OLD))]
    assert (counted("only_roles"), counted("only_capability")) == (1, 1)
    for outcome in ("allow", "deny"):
        labels = {"capability": "payment_process", "outcome": outcome}
        assert registry.get_sample_value("capability_checks_total", labels) == 1
    assert registry.get_sample_value("capability_eval_seconds_count", {"engine": "role_compat"}) == 2


def test_the_capability_denies_in_its_own_words():
    made, _ = compat(decide="capability")
    assert made.check(context("Manager")).granted_by == {"Manager"}
    with pytest.raises(ApiError) as caught:
        made.check(context("Support"))
    assert caught.value.missing_role == "payment_access"


def test_without_an_engine_it_asks_the_one_of_the_request():
    made, counted = compat(matrix=None)
    assert made.differences() == compat()[0].differences()
    made.allows(context("Cashier"))
    token = BOUND_GUARD.set(guarded(engine=MatrixEngine(PolicyMatrix.from_mapping({"Cashier": ["x"]})))[0])
    try:
        made.allows(context("Cashier"))
        assert [each.role for each in made.differences()] == sorted(OLD, key=lambda role: (role != "Cashier", role))
    finally:
        BOUND_GUARD.reset(token)
    assert (counted("agree_allow"), counted("only_roles")) == (1, 1)


def test_the_differences_are_found_by_enumeration():
    made, counted = compat([*OLD, "Owner"])
    assert made.differences() == (
        CompatDifference("Manager", by_roles=False, by_capability=True, known=True),
        CompatDifference("Support", by_roles=True, by_capability=False, known=True),
        CompatDifference("Owner", by_roles=True, by_capability=False, known=False),
    )
    assert [str(each) for each in made.differences()] == [
        "Manager: the old list denies, the capability allows",
        "Support: the old list allows, the capability denies",
        "Owner (no role of the policy): the old list allows, the capability denies",
    ]
    assert made.report().unknown_roles == ("Owner",)
    assert [counted(each) for each in SEEN] == [0] * 4


@pytest.mark.parametrize("capability", MATRIX.capabilities)
def test_the_roles_of_the_matrix_do_not_differ(capability):
    made, _ = compat(MATRIX.roles_for(capability), capability)
    report = made.report()
    assert (report.differences, report.unknown_roles, report.statically_equal) == ((), (), True)


def test_an_engine_without_a_matrix_is_asked_about_the_platforms_roles():
    engine = ScriptedEngine(Decision(False, "payment_process", "no"))
    made, _ = compat(["Owner"], engine=engine)
    assert [each.role for each in made.differences()] == ["Owner"]
    assert [sorted(ctx.roles) for ctx, _, _ in engine.asked] == [[role.value] for role in Role] + [["Owner"]]
    ctx, capability, resource = engine.asked[0]
    assert (ctx.actor.id, ctx.actor.type, ctx.trace.trace_id) == ("role-compat", "system", "0" * 31 + "1")
    assert (ctx.tenant_id.int, ctx.trace.sampled, capability, resource) == (0, False, "payment_process", None)
    assert made.report().unknown_roles == ("Owner",)


def test_enumerating_is_no_traffic_for_a_shadow(tmp_path):
    (tmp_path / "policy.toml").write_text('[roles]\nTeller = ["payment_process"]\n')
    registry = CollectorRegistry()
    file = PolicyFile(tmp_path / "policy.toml", registry=registry)
    made, _ = compat(["Teller"], engine=ShadowEngine(file, MatrixEngine(MATRIX), registry=registry))
    assert made.report().statically_equal
    assert registry.get_sample_value("policy_shadow_decisions_total") is None
    assert not [sample for family in registry.collect() for sample in family.samples if "shadow" in sample.name]
    made.allows(context("Teller"))
    labels = {"capability": "payment_process", "outcome": "differ"}
    assert registry.get_sample_value("policy_shadow_decisions_total", labels) == 1


def test_safe_to_remove_needs_numbers_and_equality():
    made, _ = compat(MATRIX.roles_for("payment_process"))
    for _ in range(3):
        made.allows(context("Cashier"))
    assert made.report().safe_to_remove(3)
    assert not made.report().safe_to_remove(4)
    made.allows(context("Inventory"))
    assert made.report().safe_to_remove(4)


@pytest.mark.parametrize(
    ("changed", "safe"),
    [
        ({}, True),
        ({"only_roles": 1}, False),
        ({"only_capability": 1}, False),
        ({"errors": 1}, False),
        ({"differences": (CompatDifference("R", True, False, True),)}, False),
        ({"unknown_roles": ("Owner",)}, True),
    ],
)
def test_what_makes_it_unsafe(changed, safe):
    numbers = {"agree_allow": 5, "agree_deny": 5, "only_roles": 0, "only_capability": 0, "errors": 0}
    about = {"name": "n", "capability": "c", "decides": "roles", "differences": (), "unknown_roles": ()}
    assert RoleCompatReport(**{**about, **numbers, **changed}).safe_to_remove(10) is safe


def test_the_report_lists_every_living_one_by_name():
    gc.collect()  # what earlier tests left in cycles, engines that fail among it
    made = [compat(name=name)[0] for name in ("zz-site", "aa-site", "mm-site")]
    made[0].allows(context("Cashier"))
    ours = [report for report in role_compat_report() if report.name.endswith("-site")]
    wanted = [made[1].report(), made[2].report(), made[0].report()]
    assert ours == wanted
    del made
    gc.collect()
    assert [report for report in role_compat_report() if report.name.endswith("-site")] == []


def test_two_of_one_name_are_told_apart_by_capability():
    made = [compat(capability=capability, name="twin")[0] for capability in ("payment_process", "audit_view")]
    assert [report.capability for report in role_compat_report() if report.name == "twin"] == [
        "audit_view",
        "payment_process",
    ]
    assert len(made) == 2


def test_counts_are_exact_between_threads():
    made, counted = compat()

    def work():
        for _ in range(500):
            made.allows(context("Cashier"))
            made.allows(context("Support"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    report = made.report()
    assert (report.agree_allow, report.only_roles) == (2000, 2000) == (counted("agree_allow"), counted("only_roles"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"roles": "Admin"}, "not the one string 'Admin'"),
        ({"decide": "both"}, 'decide must be "roles" or "capability", not \'both\''),
        ({"matrix": MATRIX, "engine": MatrixEngine(MATRIX)}, "a matrix or an engine, not both"),
    ],
)
def test_a_wrong_option_is_a_configuration_error(options, message):
    with pytest.raises(ConfigurationError) as caught:
        compat(**options)
    assert message in str(caught.value)


def test_an_empty_old_list_allows_nobody():
    made, _ = compat([])
    assert not made.allows(context("SuperAdmin"))
    assert {each.role for each in made.differences()} == MATRIX.roles_for("payment_process")


def test_enums_and_strings_are_the_same_names():
    made, _ = compat([Role.CASHIER], Capability.AUDIT_VIEW)
    assert made.roles == {"Cashier"}
    assert all(type(role) is str for role in made.roles)
    assert (type(made.capability), made.capability, made.name) == (str, "audit_view", "audit_view")


def test_site_labels_are_bounded():
    registry = CollectorRegistry()
    for n in range(250):
        RoleCompat(["Admin"], "audit_view", name=f"site_{n}", registry=registry).allows(context())
    sites = {
        sample.labels["site"] for family in registry.collect() for sample in family.samples if "site" in sample.labels
    }
    assert len(sites) == 201
    assert registry.get_sample_value("role_compat_checks_total", {"site": "_overflow", "outcome": "agree_deny"}) == 50


def test_it_works_on_the_machines_clock(caplog):
    made = RoleCompat(["Support"], "gdpr_manage", matrix=MATRIX, registry=CollectorRegistry())
    assert made.allows(context("Support"))
    assert [record.action for record in caplog.records] == ["role_compat_differs"]


def test_a_capability_that_the_matrix_does_not_have_is_refused():
    with pytest.raises(ConfigurationError, match="the matrix has no capability 'payment_proces'"):
        compat(capability="payment_proces")


@pytest.mark.parametrize("roles", [None, 7])
def test_roles_that_are_no_list_are_refused(roles):
    with pytest.raises(ConfigurationError, match="roles must be a list of role names, not"):
        compat(roles=roles)


def test_the_matrix_that_is_given_is_the_one_that_is_asked():
    made, _ = compat(["A"], "x", matrix=PolicyMatrix.from_mapping({"A": ["x"], "B": ["x"]}))
    assert [(each.role, each.by_roles, each.by_capability) for each in made.differences()] == [("B", False, True)]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, asyncio.CancelledError])
def test_what_ends_a_task_goes_through(stop):
    made, _ = compat(engine=ScriptedEngine(stop()))
    with pytest.raises(stop):
        made.allows(context("Cashier"))
