"""Signed contexts over the wire: taken when whole, and each way in which they can be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.security import ContextSigner, SignatureKey, SignedTarget
from tenaudit.testing.clock import ManualClock
from tests.conformance.http.case import TRACED, Case, Expected, envelope, ok, who
from tests.conformance.http.cases_errors import NOT_FOUND, method_not_allowed
from tests.conformance.http.shop import SIGNING_KEY, TENANT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.http.case import Headers

UNTRUSTED = envelope(
    401,
    "untrusted_context",
    "The identity of this request is not trusted.",
    headers={"www-authenticate": "Signature"},
)
SIGNED = [("X-Tenant-ID", TENANT), ("X-Roles", "Cashier"), ("X-User-ID", "u-1")]
OTHER_TENANT = "11111111-2222-4333-8444-555555555555"
Pairs = list[tuple[str, str]]


def signed(
    target: str = "/whoami",
    *,
    method: str = "GET",
    authority: str = "shop.test",
    headers: Pairs | None = None,
    signer: ContextSigner | None = None,
) -> Pairs:
    headers = SIGNED if headers is None else headers
    return headers + (signer or ContextSigner(SIGNING_KEY)).sign(headers, SignedTarget(method, authority, target))


def _at(seconds: float) -> ContextSigner:
    """A signer whose clock is off by some seconds."""
    import time

    return ContextSigner(SIGNING_KEY, clock=ManualClock(start=time.time() + seconds))


def _swapped(name: str, value: str) -> Pairs:
    return [(other, value if other == name else text) for other, text in signed()]


def _without(*names: str) -> Pairs:
    return [pair for pair in signed() if pair[0] not in names]


def case(
    name: str,
    make: Callable[[], Pairs],
    expected: Expected = UNTRUSTED,
    *,
    target: str = "/whoami",
    method: str = "GET",
) -> Case:
    def headers() -> Headers:
        return [*make(), *TRACED]

    return Case(f"trust/{name}", expected, method=method, target=target, headers=headers, variant="signed")


STRANGER = ContextSigner(SignatureKey.hmac_sha256("k9", b"another secret of 32 bytes!!!!!!"))
IMPOSTOR = ContextSigner(SignatureKey.hmac_sha256("k1", b"another secret of 32 bytes!!!!!!"))

CASES = [
    case("whole", signed, who()),
    case("whole-with-query", lambda: signed("/whoami?a=%2F&b="), who(), target="/whoami?a=%2F&b="),
    case("whole-with-encoded-path", lambda: signed("/things/a%20b"), ok("a b"), target="/things/a%20b"),
    case(
        "whole-post",
        lambda: signed("/things/1", method="POST", headers=[*SIGNED[:1], ("X-Roles", "Manager")]),
        ok("1"),
        target="/things/1",
        method="POST",
    ),
    case("public-needs-none", list, ok("hello"), target="/hello"),
    case("no-route", lambda: signed("/none"), NOT_FOUND, target="/none"),
    case("no-route-for-strangers", list, target="/none"),
    case("method-not-allowed", lambda: signed(method="POST"), method_not_allowed("GET, HEAD, OPTIONS"), method="POST"),
    case("method-for-strangers", list, method="POST"),
    case("unsigned", lambda: list(SIGNED)),
    case("nothing", list),
    case("no-signature", lambda: _without("Signature")),
    case("no-input", lambda: _without("Signature-Input")),
    case("before-identity", lambda: [("X-Tenant-ID", "x")]),
    case("before-ambiguity", lambda: [*SIGNED, SIGNED[0]]),
    case("another-path", lambda: signed("/cap/loyalty_view")),
    case("another-query", lambda: signed("/whoami?a=1")),
    case("added-query", signed, target="/whoami?a=1"),
    case("another-method", lambda: signed(method="POST")),
    case("another-authority", lambda: signed(authority="bank.test")),
    case("another-tenant", lambda: _swapped("X-Tenant-ID", OTHER_TENANT)),
    case("other-roles", lambda: _swapped("X-Roles", "SuperAdmin")),
    case("another-user", lambda: _swapped("X-User-ID", "root")),
    case("a-header-less", lambda: _without("X-Roles")),
    case("a-header-more", lambda: [*signed(), ("X-Actor-Type", "system")]),
    case("a-session-more", lambda: [*signed(), ("X-Session-ID", "s-1")]),
    case("roles-twice", lambda: [*signed(), ("X-Roles", "SuperAdmin")]),
    case("roles-twice-equal", lambda: [*signed(), ("X-Roles", "Cashier")]),
    case("expired", lambda: signed(signer=_at(-40))),
    case("long-ago", lambda: signed(signer=_at(-86_400))),
    case("in-the-future", lambda: signed(signer=_at(30))),
    case("unknown-key", lambda: signed(signer=STRANGER)),
    case("wrong-secret", lambda: signed(signer=IMPOSTOR)),
    case("signature-of-nothing", lambda: _swapped("Signature", "tenaudit=::")),
    case("signature-garbage", lambda: _swapped("Signature", "tenaudit=:AAAA:")),
    case("signature-out-of-form", lambda: _swapped("Signature", "AAAA")),
    case("input-garbage", lambda: _swapped("Signature-Input", "tenaudit=((((")),
    case("input-too-long", lambda: _swapped("Signature-Input", "tenaudit=(" + '"a" ' * 1100)),
]
