"""A gateway that signs and a service that checks: what the tests of signed contexts share."""

from __future__ import annotations

import pytest

from tenaudit import ApiError
from tenaudit.security import (
    ContextSigner,
    ContextVerifier,
    SecurityContext,
    SecuritySettings,
    SignatureKey,
    SignedTarget,
    extract_context,
)
from tenaudit.testing.clock import ManualClock

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
OTHER = "11111111-2222-4333-8444-555555555555"
SECRET = b"an example secret of 32 bytes!!!"
KEY = SignatureKey.hmac_sha256("k1", SECRET)
IDENTITY = [
    ("X-Tenant-ID", TENANT),
    ("X-Roles", "Cashier,Manager"),
    ("X-User-ID", "u-1"),
    ("X-Auth-Method", "jwt"),
]
REQUEST = SignedTarget("POST", "orders.internal", "/orders/7?verbose=1")

Pairs = list[tuple[str, str]]


class Pair:
    """A signer and a verifier with one clock."""

    def __init__(self, key: SignatureKey = KEY, keys: list[SignatureKey] | None = None, **options: object) -> None:
        self.clock = ManualClock()
        self.reasons: list[str] = []
        self.signer = ContextSigner(key, clock=self.clock)
        self.settings = SecuritySettings(
            trust="signed",
            verifier=ContextVerifier(keys or [key], clock=self.clock, **options),  # type: ignore[arg-type]
            on_untrusted=self.reasons.append,
        )

    def sent(self, headers: Pairs | None = None, request: SignedTarget = REQUEST) -> Pairs:
        headers = IDENTITY if headers is None else headers
        return headers + self.signer.sign(headers, request)

    def read(self, headers: Pairs, request: SignedTarget | None = REQUEST) -> SecurityContext:
        return extract_context(headers, settings=self.settings, request=request)

    def refused(self, headers: Pairs, reason: str, request: SignedTarget | None = REQUEST) -> None:
        """Check that a context is refused, for this reason, with the one answer that all refusals have."""
        with pytest.raises(ApiError) as refusal:
            self.read(headers, request)
        error = refusal.value
        assert (error.status, error.code) == (401, "untrusted_context")
        assert error.message == "The identity of this request is not trusted."
        assert dict(error.headers) == {"WWW-Authenticate": "Signature"}
        assert self.reasons.pop() == reason


def replaced(headers: Pairs, name: str, value: str) -> Pairs:
    return [(other, value if other == name else text) for other, text in headers]


def without(headers: Pairs, *names: str) -> Pairs:
    return [pair for pair in headers if pair[0] not in names]
