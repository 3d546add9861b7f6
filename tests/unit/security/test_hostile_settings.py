"""Settings and keys of the wrong kind: each is refused by name, and no secret is in the refusal."""

from __future__ import annotations

from uuid import UUID

import pytest

from tenaudit.errors import ApiError, ConfigurationError, ErrorCatalogue, LabelGuard
from tenaudit.security import (
    ApiKeyAuthenticator,
    ApiKeyRecord,
    ApiKeyRotation,
    ContextVerifier,
    InMemoryApiKeyStore,
    JwtAuthenticator,
    SecuritySettings,
    SignatureKey,
    new_api_key,
)

NAN = float("nan")
HUGE = 10**400
PREFIX = "ta_0123456789ab"
TENANT = UUID(int=7)
KEY = SignatureKey.hmac_sha256("k1", "a secret of at least thirty-two bytes")
# As a variable of the environment that is no UTF-8 arrives.
TORN = "my-very-secret-words-" + "\udcff" * 40


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: ContextVerifier([KEY], used_limit=NAN), "used_limit"),
        (lambda: SecuritySettings(max_user_id_bytes=NAN), "max_user_id_bytes"),
        (lambda: ApiKeyAuthenticator(InMemoryApiKeyStore(), cache_size=NAN), "cache_size"),
        (lambda: ApiKeyAuthenticator(InMemoryApiKeyStore(), cache_seconds=NAN), "cache_seconds"),
        (lambda: ApiKeyAuthenticator(InMemoryApiKeyStore(), cache_seconds=HUGE), "cache_seconds"),
        (lambda: LabelGuard(NAN), "limit"),
        (lambda: new_api_key(TENANT, ["A"], expires_at=HUGE), "expires_at"),
        (lambda: new_api_key(TENANT, ["A"], expires_at=2**53 + 1), "expires_at"),
        (lambda: new_api_key(TENANT, ["A"], expires_at=NAN), "expires_at"),
        (lambda: new_api_key(TENANT, ["A"], expires_at="tomorrow"), "expires_at"),
        (lambda: new_api_key(TENANT, None), "roles"),
        (lambda: new_api_key(TENANT, ["A"], name=None), "name"),
        (lambda: new_api_key(TENANT, ["A"], description=5), "description"),
        (lambda: new_api_key("x", ["A"]), "tenant_id"),
        (lambda: ApiKeyRecord(5, bytes(32), TENANT, frozenset()), "prefix"),
        (lambda: ApiKeyRecord(PREFIX, bytes(32), TENANT, None), "roles"),
        (lambda: ApiKeyRecord(PREFIX, bytes(32), TENANT, frozenset({5})), "roles"),
        (lambda: ApiKeyRotation(PREFIX, bytes(32), at=HUGE), "at must"),
        (lambda: ApiKeyRotation(PREFIX, bytes(32), at="now"), "at must"),
        (lambda: ApiKeyRotation(PREFIX, bytes(32), at=0.0, overlap=HUGE), "overlap"),
        (lambda: SignatureKey.hmac_sha256("k9", None), "'k9': the secret"),
        (lambda: SignatureKey.hmac_sha256("k9", 64), "'k9': the secret"),
        (lambda: SignatureKey.hmac_sha256(None, "x" * 32), "key id"),
        (lambda: JwtAuthenticator({"k9": "x" * 40}, issuer="i", audience="a"), "'k9' must be a pair"),
        (lambda: JwtAuthenticator({"k9": ("HS256",)}, issuer="i", audience="a"), "'k9' must be a pair"),
        (lambda: JwtAuthenticator({"k9": ([], "x" * 40)}, issuer="i", audience="a"), "'k9' must be a pair"),
        (lambda: ErrorCatalogue().declare(None, 400, "It is so."), "code None"),
        (lambda: ErrorCatalogue().declare("odd", "400", "It is so."), "status 400"),
    ],
)
def test_what_cannot_be_a_setting_is_refused_by_its_name(make, named):
    with pytest.raises(ConfigurationError, match=named):
        make()


def test_the_last_seconds_that_every_store_can_keep_are_taken():
    for seconds in (2**53, -(2**53), 1e300, True):
        assert new_api_key(TENANT, ["A"], expires_at=seconds)[1].expires_at == seconds


@pytest.mark.parametrize("make", [SignatureKey.hmac_sha256, SignatureKey.ed25519])
def test_a_secret_that_utf_8_cannot_write_is_in_no_refusal(make):
    with pytest.raises(ConfigurationError) as caught:
        make("k9", TORN)
    assert "'k9'" in str(caught.value)
    assert caught.value.__suppress_context__
    assert "secret-words" not in repr(caught.value)


@pytest.mark.parametrize("code", [None, 5, b"odd"])
def test_an_error_code_that_is_no_text_is_refused(code):
    with pytest.raises(ValueError, match="code must match"):
        ApiError(400, code, "It is so.")


def test_seconds_that_cannot_be_printed_are_refused():
    with pytest.raises(ValueError, match="retry_after must"):
        ApiError(429, "rate_limited", "Wait.", retry_after=10**5000)
