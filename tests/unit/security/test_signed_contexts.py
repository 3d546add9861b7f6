"""Signed contexts: what is taken, and each attack on its own."""

from __future__ import annotations

import dataclasses

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ApiError
from tenaudit._kernel.error import ConfigurationError
from tenaudit.gate import Gate, RequestView
from tenaudit.security import (
    ContextSigner,
    ContextVerifier,
    SecuritySettings,
    SignatureKey,
    SignedTarget,
    extract_context,
)
from tenaudit.testing.clock import ManualClock
from tests.unit.security.signed import IDENTITY, KEY, OTHER, REQUEST, SECRET, TENANT, Pair, replaced, without


def test_what_was_signed_for_this_request_is_the_context() -> None:
    pair = Pair()
    context = pair.read(pair.sent())
    assert (str(context.tenant_id), context.actor.id, sorted(context.roles)) == (TENANT, "u-1", ["Cashier", "Manager"])
    assert pair.reasons == []


def test_the_order_case_and_whitespace_of_headers_do_not_matter() -> None:
    pair = Pair()
    sent = [(name.upper(), f" {value}\t") for name, value in reversed(pair.sent())]
    assert pair.read(sent).actor.id == "u-1"


@pytest.mark.parametrize(
    ("signed", "received"),
    [
        (SignedTarget("GET", "Orders.Internal", "/a"), SignedTarget("GET", "orders.internal", "/a")),
        (SignedTarget("GET", "orders:443", "/a"), SignedTarget("GET", "orders", "/a")),
        (SignedTarget("GET", "orders", "/a?"), SignedTarget("GET", "orders", "/a")),
        (SignedTarget("GET", "orders", ""), SignedTarget("GET", "orders", "/")),
    ],
)
def test_targets_that_mean_the_same(signed: SignedTarget, received: SignedTarget) -> None:
    pair = Pair()
    assert pair.read(pair.sent(request=signed), received).actor.id == "u-1"


@pytest.mark.parametrize(
    "received",
    [
        SignedTarget("GET", "orders.internal", "/orders/7?verbose=1"),
        SignedTarget("post", "orders.internal", "/orders/7?verbose=1"),
        SignedTarget("POST", "payments.internal", "/orders/7?verbose=1"),
        SignedTarget("POST", "orders.internal:8080", "/orders/7?verbose=1"),
        SignedTarget("POST", "orders.internal", "/orders/8?verbose=1"),
        SignedTarget("POST", "orders.internal", "/orders/7/?verbose=1"),
        SignedTarget("POST", "orders.internal", "/orders/%37?verbose=1"),
        SignedTarget("POST", "orders.internal", "/orders/7"),
        SignedTarget("POST", "orders.internal", "/orders/7?verbose=1&admin=1"),
        SignedTarget("POST", "orders.internal", "/orders/7?verbose=1\n"),
    ],
)
def test_a_context_for_another_request_is_refused(received: SignedTarget) -> None:
    pair = Pair()
    pair.refused(pair.sent(), "altered", received)


def test_a_context_of_another_tenant_is_refused() -> None:
    pair = Pair()
    pair.refused(replaced(pair.sent(), "X-Tenant-ID", OTHER), "altered")


@pytest.mark.parametrize("name", [name for name, _ in IDENTITY])
def test_each_altered_header_is_refused(name: str) -> None:
    pair = Pair()
    pair.refused(replaced(pair.sent(), name, "SuperAdmin"), "altered")


@pytest.mark.parametrize("name", [name for name, _ in IDENTITY])
def test_each_removed_header_is_refused(name: str) -> None:
    pair = Pair()
    pair.refused(without(pair.sent(), name), "missing_component")


@pytest.mark.parametrize("name", ["X-Session-ID", "X-Actor-Type", "X-Trace-ID"])
def test_an_identity_header_that_was_not_signed_is_refused(name: str) -> None:
    pair = Pair()
    pair.refused([*pair.sent(), (name, "service")], "uncovered_header")


@pytest.mark.parametrize("name", ["X_Roles", "x_tenant-id", "X_USER_ID"])
def test_an_underscore_twin_is_refused(name: str) -> None:
    pair = Pair()
    pair.refused([*pair.sent(), (name, "SuperAdmin")], "uncovered_header")


@pytest.mark.parametrize("name", [name for name, _ in IDENTITY])
def test_a_header_that_comes_twice_is_refused_even_with_equal_values(name: str) -> None:
    pair = Pair()
    pair.refused([*pair.sent(), (name, dict(IDENTITY)[name])], "ambiguous")


def test_what_a_wsgi_server_makes_of_two_headers_is_refused() -> None:
    pair = Pair()
    pair.refused(replaced(pair.sent(), "X-Roles", "Cashier,Manager,SuperAdmin"), "altered")


def test_without_a_signature_nothing_is_believed() -> None:
    pair = Pair()
    sent = pair.sent()
    pair.refused(IDENTITY, "unsigned")
    pair.refused(without(sent, "Signature-Input"), "unsigned")
    pair.refused(without(sent, "Signature"), "unsigned")
    pair.refused([], "unsigned")
    pair.refused(sent, "no_request", None)


def test_trust_comes_before_identity() -> None:
    pair = Pair()
    pair.refused([("X-Tenant-ID", "no uuid")], "unsigned")
    with pytest.raises(ApiError) as refusal:
        pair.read(pair.sent([("X-Tenant-ID", "no uuid")]))
    assert refusal.value.code == "invalid_tenant_id"


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(-6.0, "future"), (-5.0, None), (34.9, None), (35.0, "expired"), (10_000.0, "expired")],
)
def test_times_are_checked_with_a_leeway(seconds: float, reason: str | None) -> None:
    pair = Pair()
    sent = pair.sent()
    pair.clock.advance(seconds)
    if reason is None:
        assert pair.read(sent).actor.id == "u-1"
    else:
        pair.refused(sent, reason)


def test_an_old_signature_is_stale_whatever_its_expiry_says() -> None:
    pair = Pair(max_age=10.0, leeway=0.0)
    pair.signer = ContextSigner(KEY, lifetime=10.0, clock=pair.clock)
    sent = pair.sent()
    pair.clock.advance(9.5)
    assert pair.read(sent).actor.id == "u-1"
    pair.signer = ContextSigner(KEY, lifetime=11.0, clock=pair.clock)
    pair.refused(pair.sent(), "long_lived")


def test_stale_is_told_apart_from_expired() -> None:
    pair = Pair(max_age=10.0, leeway=0.0)
    pair.signer = ContextSigner(KEY, lifetime=60.0, clock=pair.clock)
    sent = pair.sent()
    pair.clock.advance(11.0)
    pair.refused(sent, "stale")


def test_an_unknown_key_and_a_retired_key_are_refused() -> None:
    stranger = SignatureKey.hmac_sha256("k9", b"another secret of 32 bytes!!!!!!")
    pair = Pair(stranger, keys=[KEY])
    pair.refused(pair.sent(), "unknown_key")
    impostor = SignatureKey.hmac_sha256("k1", b"another secret of 32 bytes!!!!!!")
    pair = Pair(impostor, keys=[KEY])
    pair.refused(pair.sent(), "altered")


def test_keys_rotate_while_both_are_live() -> None:
    new = SignatureKey.hmac_sha256("k2", b"the next secret of 32 bytes!!!!!")
    pair = Pair(KEY, keys=[KEY, new])
    assert pair.read(pair.sent()).actor.id == "u-1"
    pair.signer = ContextSigner(new, clock=pair.clock)
    assert pair.read(pair.sent()).actor.id == "u-1"


def test_a_stated_algorithm_is_the_keys_or_refused() -> None:
    pair = Pair()
    sent = pair.sent()
    lied = [(name, value.replace('alg="hmac-sha256"', 'alg="ed25519"')) for name, value in sent]
    pair.refused(lied, "wrong_algorithm")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"@path" ', "", "missing_component"),
        ('"@method" ', "", "missing_component"),
        ('"@authority" ', "", "missing_component"),
        ('"@query" ', "", "missing_component"),
        ('"x-roles" ', "", "uncovered_header"),
        ('"x-tenant-id" ', "", "uncovered_header"),
        ('"@path"', '"@path" "@path"', "malformed"),
        ('"@path"', '"@path";req', "missing_component"),
        ('"@path"', '"@path" "content-digest"', "missing_component"),
        ("created=", "created=1;created=", "malformed"),
        (";created=", ";was=", "malformed"),
        (";expires=", ";was=", "malformed"),
        ("created=", "created=-", "malformed"),
        (";created=", ';created="now";was=', "malformed"),
        (";keyid=", ";was=", "unknown_key"),
        ('tag="tenaudit"', 'tag="other"', "unsigned"),
        ('tag="tenaudit"', "tag=tenaudit", "unsigned"),
        ("tenaudit=(", "tenaudit=((", "malformed"),
        ("tenaudit=(", "=(", "malformed"),
        ("(", "(" + " " * 5000, "malformed"),
    ],
)
def test_an_altered_list_of_what_is_signed_is_refused(old: str, new: str, reason: str) -> None:
    pair = Pair()
    sent = [(name, value.replace(old, new, 1) if name == "Signature-Input" else value) for name, value in pair.sent()]
    assert sent != pair.sent()
    pair.refused(sent, reason)


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("tenaudit=::", "altered"),
        ("tenaudit=:AAAA:", "altered"),
        ("tenaudit=:A:", "malformed"),
        ("tenaudit=:AA=A:", "malformed"),
        ("tenaudit=AAAA", "malformed"),
        ("tenaudit", "malformed"),
        ("", "unsigned"),
        ("other=:AAAA:", "unsigned"),
        ("tenaudit=:AAAA:, tenaudit=:AAAA:", "malformed"),
        ("tenaudit=:AAAA:,", "malformed"),
        ("tenaudit=:" + "A" * 8000 + ":", "malformed"),
    ],
)
def test_a_signature_out_of_form_is_refused(signature: str, reason: str) -> None:
    pair = Pair()
    pair.refused(replaced(pair.sent(), "Signature", signature), reason)


def test_two_signatures_of_ours_are_refused_and_others_are_left_alone() -> None:
    pair = Pair()
    sent = dict(pair.sent())
    twice = f"{sent['Signature-Input']}, second{sent['Signature-Input'].removeprefix('tenaudit')}"
    pair.refused(replaced(pair.sent(), "Signature-Input", twice), "ambiguous")
    sent = dict(pair.sent())
    client = 'client=("@method" "content-digest";req);created=1;keyid="theirs"'
    headers = [
        *IDENTITY,
        ("Signature-Input", client),
        ("Signature-Input", sent["Signature-Input"]),
        ("Signature", f"client=:AAAA:, {sent['Signature']}"),
    ]
    assert pair.read(headers).actor.id == "u-1"


def test_single_use_takes_each_signature_once() -> None:
    pair = Pair(single_use=True, used_limit=2)
    first, second, third = pair.sent(), pair.sent(), pair.sent()
    assert pair.read(first).actor.id == "u-1"
    pair.refused(first, "replayed")
    assert pair.read(second).actor.id == "u-1"
    pair.refused(third, "replay_memory_full")
    pair.clock.advance(36.0)
    assert pair.read(pair.sent()).actor.id == "u-1"
    pair.refused(first, "expired")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SignatureKey.hmac_sha256("k", b"short"), "at least 32 bytes"),
        (lambda: SignatureKey.hmac_sha256('k"', SECRET), "key id"),
        (lambda: SignatureKey.hmac_sha256("", SECRET), "key id"),
        (lambda: ContextVerifier([]), "at least one key"),
        (lambda: ContextVerifier([KEY, KEY]), "each key id once"),
        (lambda: ContextVerifier([KEY], max_age=0), "max_age"),
        (lambda: ContextVerifier([KEY], leeway=-1), "leeway"),
        (lambda: ContextVerifier([KEY], used_limit=0), "used_limit"),
        (lambda: ContextSigner(KEY, lifetime=0), "lifetime"),
        (lambda: ContextSigner(dataclasses.replace(KEY, sign=None)), "only check"),
        (lambda: SignatureKey.hmac_sha256("k", b"-----BEGIN PUBLIC KEY-----\nAAAA\n"), "no shared secret"),
        (lambda: ContextSigner(KEY).sign([*IDENTITY, IDENTITY[0]], REQUEST), "there twice"),
        (lambda: ContextSigner(KEY).sign(IDENTITY[1:], REQUEST), "X-Tenant-ID is missing"),
        (lambda: ContextSigner(KEY).sign([*IDENTITY, ("x_roles", "Admin")], REQUEST), "underscores"),
        (lambda: ContextSigner(KEY).sign([*IDENTITY, ("X-Session-ID", "\u00e9")], REQUEST), "ASCII"),
        (lambda: ContextSigner(KEY).sign([*IDENTITY, ("X-Session-ID", 'a\n"x-roles": Admin')], REQUEST), "line break"),
        (lambda: ContextSigner(KEY).sign([*IDENTITY, ("X-Session-ID", "a\rb")], REQUEST), "line break"),
        (lambda: ContextSigner(KEY).sign(IDENTITY, REQUEST._replace(target="/\u540d")), "ASCII"),
        (lambda: SecuritySettings(trust="signed"), "verifier"),
        (lambda: SecuritySettings(verifier=ContextVerifier([KEY])), "verifier"),
        (lambda: SecuritySettings(trust="none"), "trust must be"),
    ],
)
def test_what_cannot_be_set_up(make: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()  # type: ignore[operator]


def test_other_headers_are_not_signed() -> None:
    pair = Pair()
    sent = pair.sent([*IDENTITY, ("Accept", "*/*"), ("traceparent", "x")])
    assert pair.read(replaced(without(sent, "Accept"), "traceparent", "y")).actor.id == "u-1"


def test_a_text_secret_and_a_mapping_of_headers_will_do() -> None:
    clock = ManualClock()
    key = SignatureKey.hmac_sha256("k1", SECRET.decode())
    headers = dict(IDENTITY)
    headers |= dict(ContextSigner(key, clock=clock).sign(headers, REQUEST))
    settings = SecuritySettings(trust="signed", verifier=ContextVerifier([KEY], clock=clock))
    assert extract_context(headers, settings=settings, request=REQUEST).actor.id == "u-1"


def test_a_secret_is_not_shown() -> None:
    assert "secret" not in repr(KEY)


def test_refusals_are_counted() -> None:
    registry = CollectorRegistry()
    gate = Gate(
        "orders",
        registry=registry,
        security=SecuritySettings(trust="signed", verifier=ContextVerifier([KEY], clock=ManualClock())),
    )
    assert gate.needs_target
    identity = gate.recognize(RequestView(list(IDENTITY), None, REQUEST))
    assert identity.context is None
    assert registry.get_sample_value("security_untrusted_contexts_total", {"reason": "unsigned"}) == 1.0
