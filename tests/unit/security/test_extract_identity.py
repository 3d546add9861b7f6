"""Identity headers, the specification's table row by row, as pairs and as a mapping."""

from __future__ import annotations

from uuid import UUID

import pytest

from tenaudit.errors import ApiError, ConfigurationError
from tenaudit.security import Actor, SecuritySettings, extract_context

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
BASE = ("X-Tenant-ID", TENANT)
forms = pytest.mark.parametrize("form", [list, dict, tuple, iter, lambda pairs: (p for p in pairs)])


def short(value):
    return ascii(value[:20])


def refused(headers, **settings):
    with pytest.raises(ApiError) as caught:
        extract_context(headers, settings=SecuritySettings(**settings) if settings else None)
    assert caught.value.status == 400
    return caught.value.code


@forms
def test_a_full_identity_is_read(form):
    pairs = [
        ("x-tenant-id", TENANT.upper()),
        ("X-ROLES", " cashier ,\tMANAGER"),
        ("X-User-Id", " u-1\t"),
        ("X-Actor-Type", "service"),
        ("X-Session-ID", "s+/=1"),
        ("X-Auth-Method", "jwt"),
        ("User-Agent", "curl/8"),
    ]
    ctx = extract_context(form(pairs))
    assert ctx.tenant_id == UUID(TENANT)
    assert ctx.actor == Actor("u-1", "service")
    assert ctx.roles == {"Cashier", "Manager"}
    assert (ctx.session_id, ctx.auth_method, ctx.user_agent, ctx.client_ip) == ("s+/=1", "jwt", "curl/8", None)


def test_only_the_tenant_is_required():
    ctx = extract_context([BASE])
    assert ctx.actor == Actor(None, "anonymous")
    assert ctx.roles == frozenset()
    assert (ctx.auth_method, ctx.session_id, ctx.user_agent) == ("header", None, None)


@forms
@pytest.mark.parametrize("pairs", [[], [("Host", "x")], [("X-Tenant-ID", "")], [("X-Tenant-ID", " \t ")]])
def test_a_tenant_that_is_absent_or_empty_is_missing(form, pairs):
    assert refused(form(pairs)) == "missing_tenant_id"


@forms
@pytest.mark.parametrize(
    "value",
    [
        "acme",
        TENANT.replace("-", ""),
        f"{{{TENANT}}}",
        f"urn:uuid:{TENANT}",
        TENANT + "\n",
        TENANT + "0",
        TENANT[:-1],
        TENANT[:-1] + "g",
        TENANT.replace("7", "\uff17", 1),
        TENANT.replace("-", "_"),
        TENANT + "\x00",
        "\u00a0" + TENANT,
        "0" * 100_000,
        "é",
    ],
    ids=short,
)
def test_a_malformed_tenant_is_invalid(form, value):
    assert refused(form([("X-Tenant-ID", value)])) == "invalid_tenant_id"


@pytest.mark.parametrize(
    "headers",
    [
        [BASE, BASE],
        [BASE, ("x-tenant-id", "")],
        [("X-Tenant-ID", "x"), BASE, BASE],
        {"X-Tenant-ID": TENANT, "x-tenant-id": TENANT},
        [("X-Tenant-ID", f"{TENANT},{TENANT}")],
        [("X-Tenant-ID", f"{TENANT},")],
        [BASE, ("X-User-ID", "a"), ("X-User-ID", "a")],
        [BASE, ("X-User-ID", "a,b")],
        [BASE, ("X-Roles", "Cashier"), ("X-Roles", "Cashier")],
        [BASE, ("X-Roles", ""), ("x-roles", "")],
        [BASE, ("X-Session-ID", "a"), ("X-Session-ID", "b")],
        [BASE, ("X-Auth-Method", "jwt,header")],
        [BASE, ("X-User-ID", "a"), ("X-Actor-Type", "user,service")],
        [BASE, ("X-Actor-Type", "user"), ("X-Actor-Type", "service")],
    ],
)
def test_a_single_valued_header_sent_twice_is_ambiguous(headers):
    assert refused(headers) == "ambiguous_header"


@forms
@pytest.mark.parametrize("twin", ["X_Roles", "x_roles", "X_Tenant_ID", "X-Tenant_ID", "X_USER-ID", "x_trace_id"])
@pytest.mark.parametrize("first", [True, False])
def test_an_underscore_twin_is_refused_wherever_it_stands(form, twin, first):
    pairs = [(twin, "SuperAdmin"), BASE] if first else [BASE, (twin, "SuperAdmin")]
    assert refused(form(pairs)) == "ambiguous_header"


def test_an_underscore_in_any_other_header_is_no_concern():
    assert extract_context([BASE, ("X_Custom", "1"), ("traceparent_", "1")]).tenant_id == UUID(TENANT)


def test_the_refusal_names_the_header():
    with pytest.raises(ApiError) as caught:
        extract_context([BASE, BASE])
    assert caught.value.errors[0]["field"] == "X-Tenant-ID"


@pytest.mark.parametrize(
    ("value", "known", "unknown"),
    [
        ("Cashier", {"Cashier"}, 0),
        ("cAsHiEr,CASHIER", {"Cashier"}, 0),
        ("SUPERADMIN , support", {"SuperAdmin", "Support"}, 0),
        (",, ,\t,Cashier,", {"Cashier"}, 0),
        ("", set(), 0),
        ("root", set(), 1),
        ("root,root,Cashier,wheel", {"Cashier"}, 2),
        ("Super Admin", set(), 1),
        ("Cashier;Admin", set(), 1),
        ("\u00a0Admin", set(), 1),
        ("Admin\x00", set(), 1),
        ("*", set(), 1),
    ],
)
def test_roles_are_trimmed_matched_without_case_and_counted_when_unknown(value, known, unknown):
    counted = []
    ctx = extract_context([BASE, ("X-Roles", value)], settings=SecuritySettings(on_unknown_roles=counted.append))
    assert ctx.roles == known
    assert counted == ([unknown] if unknown else [])


def test_unknown_roles_reach_the_metric():
    from prometheus_client import REGISTRY

    def total():
        return REGISTRY.get_sample_value("security_unknown_roles_total") or 0.0

    before = total()
    extract_context([BASE, ("X-Roles", "root,wheel,Cashier")])
    assert total() == before + 2


def test_a_vocabulary_of_ones_own_replaces_the_default():
    ctx = extract_context(
        [BASE, ("X-Roles", "auditor,Admin")],
        settings=SecuritySettings(known_roles=["Auditor"], on_unknown_roles=lambda _: None),
    )
    assert ctx.roles == {"Auditor"}


@pytest.mark.parametrize(
    "roles", ["Admin", ["a,b"], [""], [" a"], ["a\n"], ["é"], ["Admin", "ADMIN"], ["x" * 300], ["a\r\nX-User-ID: b"]]
)
def test_a_vocabulary_that_no_header_could_carry_is_a_configuration_error(roles):
    with pytest.raises(ConfigurationError, match="known_roles"):
        SecuritySettings(known_roles=roles)


@pytest.mark.parametrize("trust", ["signed", "none", "", "MESH"])
def test_a_trust_mode_that_is_not_there_is_a_configuration_error(trust):
    with pytest.raises(ConfigurationError, match="trust"):
        SecuritySettings(trust=trust)
    with pytest.raises(ConfigurationError, match="max_user_id_bytes"):
        SecuritySettings(max_user_id_bytes=0)


@pytest.mark.parametrize("value", ["u", "a b", "auth0|1", "x" * 256, "é" * 128, "名" * 85], ids=short)
def test_a_user_id_up_to_256_bytes_is_taken(value):
    assert extract_context([BASE, ("X-User-ID", value)]).actor == Actor(value, "user")


@pytest.mark.parametrize(
    "value",
    [
        *("x" * 257, "é" * 129, "名" * 86, "x" * 1_000_000),
        *("a\x00b", "a\nb", "a\rb", "a\tb", "\x1b[1m", "a\x7f", "a\x85", "a\u2028b", "\udcff", "\ud800"),
    ],
    ids=short,
)
def test_a_user_id_that_is_long_or_holds_controls_is_invalid(value):
    assert refused([BASE, ("X-User-ID", value)]) == "invalid_user_id"


@pytest.mark.parametrize("value", ["", " ", "\t"])
def test_an_empty_user_id_is_anonymous(value):
    assert extract_context([BASE, ("X-User-ID", value)]).actor == Actor(None, "anonymous")


def test_the_limit_of_the_user_id_is_a_setting():
    assert refused([BASE, ("X-User-ID", "abcde")], max_user_id_bytes=4) == "invalid_user_id"


def test_an_actor_type_out_of_the_vocabulary_is_a_user():
    ctx = extract_context([BASE, ("X-User-ID", "u"), ("X-Actor-Type", "root")])
    assert ctx.actor == Actor("u", "user")


def test_a_user_agent_is_cut_and_cleaned():
    ctx = extract_context([BASE, ("User-Agent", "a\r\nb\udcffc" + "x" * 10_000)])
    assert ctx.user_agent.startswith("a  b c")
    assert len(ctx.user_agent) == 512


class _Pairs:
    """Counts how often the header list is walked."""

    def __init__(self, pairs):
        self.pairs, self.read = pairs, 0

    def __iter__(self):
        for pair in self.pairs:
            self.read += 1
            yield pair


def test_ten_thousand_headers_are_walked_once():
    pairs = _Pairs([(f"X-Junk-{n}", "v" * 100) for n in range(10_000)] + [BASE])
    assert extract_context(pairs).tenant_id == UUID(TENANT)
    assert pairs.read == 10_001


@pytest.mark.parametrize("value", ["," * 500_000, "a," * 250_000, " " * 500_000, "x" * 500_000], ids=short)
def test_a_huge_roles_header_grants_nothing_and_comes_back(value):
    ctx = extract_context([BASE, ("X-Roles", value)], settings=SecuritySettings(on_unknown_roles=lambda _: None))
    assert ctx.roles == frozenset()
