"""What a JwtAuthenticator refuses to be built with."""

from __future__ import annotations

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tenaudit.errors import ApiError, ConfigurationError
from tenaudit.security import ApiKeyAuthenticator, InMemoryApiKeyStore, JwtAuthenticator, authenticate_chain

SECRET = "a secret of at least thirty-two bytes"
RSA = rsa.generate_private_key(65537, 2048)
PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def build(keys, issuer="idp", audience="api", **options):
    return JwtAuthenticator(keys, issuer=issuer, audience=audience, **options)


@pytest.mark.parametrize(
    ("algorithm", "key", "why"),
    [
        ("none", "", "allow-list"),
        ("None", "", "allow-list"),
        ("RS1", PEM, "allow-list"),
        ("HS256", "short", "too short"),
        ("HS256", b"x" * 31, "too short"),
        ("HS384", "x" * 47, "too short"),
        ("HS512", "x" * 63, "too short"),
        ("RS256", rsa.generate_private_key(65537, 1024), "too short"),
        ("HS256", PEM, "is no HS256 key"),
        ("HS256", RSA.public_key(), "is no HS256 key"),
        ("HS256", "", "is no HS256 key"),
        ("HS256", None, "is no HS256 key"),
        ("RS256", SECRET, "is no RS256 key"),
        ("RS256", None, "is no RS256 key"),
        ("ES256", RSA, "is no ES256 key"),
        ("ES256", ec.generate_private_key(ec.SECP384R1()), "is no ES256 key"),
        ("EdDSA", RSA, "is no EdDSA key"),
    ],
)
def test_a_key_that_does_not_fit_is_a_configuration_error(algorithm, key, why):
    with pytest.raises(ConfigurationError, match=why) as caught:
        build({"good": ("HS256", SECRET), "bad": (algorithm, key)})
    assert "'bad'" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_keys_no_issuer_or_no_audience_is_a_configuration_error():
    for keys, names in (
        ({}, {}),
        ({"k": ("HS256", SECRET)}, {"issuer": ""}),
        ({"k": ("HS256", SECRET)}, {"audience": ""}),
    ):
        with pytest.raises(ConfigurationError):
            build(keys, **names)


@pytest.mark.parametrize("leeway", [-1, 301, float("nan"), float("inf")])
def test_the_leeway_is_bounded(leeway):
    with pytest.raises(ConfigurationError, match="leeway"):
        build({"k": ("HS256", SECRET)}, leeway=leeway)


class Silent:
    async def authenticate(self, _headers):
        return None


def test_the_challenge_names_each_scheme_that_would_do_once():
    secret = "an example secret of at least 32 bytes"
    tokens = JwtAuthenticator({"k1": ("HS256", secret)}, issuer="idp", audience="api")
    chain = [tokens, ApiKeyAuthenticator(InMemoryApiKeyStore([])), Silent()]
    with pytest.raises(ApiError) as caught:
        asyncio.run(authenticate_chain(chain, {}))
    assert dict(caught.value.headers)["WWW-Authenticate"] == "Bearer, ApiKey"
