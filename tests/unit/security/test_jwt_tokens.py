"""Bearer tokens: the principal of a good one, the settings, and claims that are missing or misshapen."""

from __future__ import annotations

import asyncio
import base64
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tenaudit.errors import ApiError, ConfigurationError
from tenaudit.security import Actor, JwtAuthenticator, SecuritySettings
from tenaudit.security.key_source import KeySource
from tenaudit.testing.clock import ManualClock
from tests.unit.security.jwt_forge import CLAIMS, NOW, RSA, SECRET, TENANT, check, raw, refused, signed


def test_a_good_token_becomes_its_principal():
    principal = check(signed(sid="s-1", roles=["cashier", "root", 7, None, ["Admin"]]))
    assert (principal.tenant_id, principal.actor) == (UUID(TENANT), Actor("u-1"))
    assert (principal.roles, principal.auth_method, principal.session_id) == ({"Cashier"}, "jwt", "s-1")


@pytest.mark.parametrize("value", [None, "", "Basic dTpw", "Bearerx y", "ApiKey x"])
def test_no_bearer_token_is_no_answer(value):
    gate = JwtAuthenticator({"k1": ("HS256", SECRET)}, issuer="idp", audience="api")
    assert asyncio.run(gate.authenticate({} if value is None else {"authorization": value})) is None


def test_the_scheme_is_matched_without_case():
    gate = JwtAuthenticator({"k1": ("HS256", SECRET)}, issuer="idp", audience="api", clock=ManualClock(NOW))
    assert asyncio.run(gate.authenticate({"authorization": f"bEARER  {signed()}"})).actor.id == "u-1"


@pytest.mark.parametrize(
    ("algorithm", "private"),
    [
        ("RS256", RSA),
        ("PS256", RSA),
        ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ],
)
def test_each_asymmetric_kind_verifies_also_when_given_its_private_key(algorithm, private):
    token = signed(key=private, algorithm=algorithm)
    for key in (private, private.public_key()):
        assert check(token, keys={"k1": (algorithm, key)}).actor.id == "u-1"
    refused(token[:-8] + "AAAAAAAA", keys={"k1": (algorithm, private)})


@pytest.mark.parametrize("claim", ["exp", "iss", "aud", "sub", "tenant_id"])
@pytest.mark.parametrize("value", [..., None, "", [], {}, 7.5, True, "x y", ["api", 1], "NaN"])
def test_a_required_claim_that_is_missing_or_misshapen_is_refused(claim, value):
    if claim == "exp" and value == 7.5:
        value = -7.5
    if claim == "sub" and value in ("x y", "NaN"):
        value = "x,y"
    refused(raw({"alg": "HS256"}, {k: v for k, v in {**CLAIMS, claim: value}.items() if v is not ...}, SECRET.encode()))


def test_one_of_several_audiences_is_enough():
    assert check(signed(aud=["other", "api"])).actor.id == "u-1"


@pytest.mark.parametrize(
    ("changes", "after", "taken"),
    [
        ({"exp": NOW + 10}, 14.9, True),
        ({"exp": NOW + 10}, 15, False),
        ({"exp": NOW + 0.5}, 5.25, True),
        ({"exp": float("nan")}, 0, False),
        ({"exp": float("inf")}, 0, False),
        ({"exp": 10**400}, 0, True),
        ({"nbf": NOW + 10}, 4.9, False),
        ({"nbf": NOW + 10}, 5, True),
        ({"nbf": float("nan")}, 0, False),
        ({"nbf": "soon"}, 0, False),
        ({"nbf": None}, 0, False),
    ],
)
def test_time_is_read_from_the_given_clock_with_five_seconds_of_leeway(changes, after, taken):
    clock = ManualClock(NOW)
    clock.advance(after)
    token = raw({"alg": "HS256"}, {**CLAIMS, **changes}, SECRET.encode())
    if taken:
        assert check(token, clock=clock).actor.id == "u-1"
    else:
        refused(token, clock=clock)


@pytest.mark.parametrize(
    "value",
    [
        f"urn:uuid:{TENANT}",
        f"{{{TENANT}}}",
        TENANT.replace("-", ""),
        TENANT + "\n",
        7,
        [TENANT],
        {"id": TENANT},
        "acme",
    ],
)
def test_a_tenant_that_is_no_canonical_uuid_is_refused(value):
    assert "tenant" in refused(signed(tenant_id=value))


@pytest.mark.parametrize("value", ["", " ", "a,b", "a\r\nX-Roles: Admin", "a\x00", "é", "x" * 257, 7, None, ["u"], {}])
def test_a_subject_that_no_header_can_carry_is_refused(value):
    refused(raw({"alg": "HS256"}, {**CLAIMS, "sub": value}, SECRET.encode()))


@pytest.mark.parametrize("value", ["SuperAdmin", {"SuperAdmin": 1}, 7, None, ..., [], [1], [["SuperAdmin"]], ["root"]])
def test_roles_that_are_no_list_of_known_names_grant_nothing(value):
    assert check(signed(roles=value)).roles == frozenset()


@pytest.mark.parametrize("value", [7, "", "a\r\nb", "a,b", "x" * 129, None, ["s"]])
def test_a_session_id_that_fits_no_header_is_left_out(value):
    assert check(signed(sid=value)).session_id is None


def test_claims_and_vocabulary_are_settings():
    token = signed(tenant=TENANT, tenant_id=..., groups=["AUDITOR", "Cashier"])
    principal = check(
        token, tenant_claim="tenant", roles_claim="groups", settings=SecuritySettings(known_roles=["Auditor"])
    )
    assert principal.roles == {"Auditor"}


NESTED = base64.urlsafe_b64encode(b"[" * 6000).decode().rstrip("=")


MALFORMED = [
    *("", " ", ".", "..", "...", "a.b", "a.b.c.d", "e30.e30.e30", "\udcff.a.b", "é.é.é", f"{NESTED[:8000]}.e30.e30"),
    *("x" * 8193, "." * 1_000_000, "e30=.e30=.", "bnVsbA.bnVsbA.", f"{signed()}\n.x", f"{signed()},{signed()}"),
]


@pytest.mark.parametrize("token", MALFORMED, ids=lambda value: ascii(value[:24]))
def test_a_malformed_token_is_refused(token):
    refused(token)


class OneKey:
    """A key source that knows one key, and one for which the keys cannot be had."""

    def __init__(self):
        self.asked = []

    async def key_for(self, kid):
        self.asked.append(kid)
        if kid == "down":
            raise ApiError.unavailable("No keys.", retry_after=7)
        if kid == "broken":
            raise ValueError("a bug of the source")
        return ("HS256", SECRET.encode()) if kid == "k1" else None


def test_a_key_source_is_asked_by_the_kid_of_a_well_formed_token_alone():
    source = OneKey()
    assert isinstance(source, KeySource)
    assert check(signed(), keys=source).actor.id == "u-1"
    refused(signed(headers={"kid": "k2"}), keys=source)
    refused(raw({"alg": "HS256"}, CLAIMS, SECRET.encode()), keys=source)
    assert source.asked == ["k1", "k2", None]
    for token in ("a.b", "e30", raw({"kid": 7}, CLAIMS), raw({"kid": "k1", "crit": ["x"]}, CLAIMS), raw("[]", CLAIMS)):
        refused(token, keys=source)
    assert len(source.asked) == 3


def test_what_a_key_source_raises_is_no_fault_of_the_token():
    with pytest.raises(ApiError) as caught:
        check(signed(headers={"kid": "down"}), keys=OneKey())
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "unavailable", 7)
    with pytest.raises(ValueError, match="a bug"):
        check(signed(headers={"kid": "broken"}), keys=OneKey())


@pytest.mark.parametrize("keys", [0, [], "k1", object()])
def test_what_is_neither_keys_nor_a_source_is_a_configuration_error(keys):
    with pytest.raises(ConfigurationError, match="key source"):
        check(signed(), keys=keys)
