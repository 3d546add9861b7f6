"""Tokens as an honest issuer signs them and as an attacker builds them, for the tests of JWTs."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tenaudit.errors import ApiError
from tenaudit.security import JwtAuthenticator
from tenaudit.testing.clock import ManualClock

__all__ = ["CLAIMS", "NOW", "PEM", "RSA", "SECRET", "TENANT", "b64", "check", "raw", "refused", "signed"]

SECRET = "a secret of at least thirty-two bytes"
NOW = 1_700_000_000
TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
CLAIMS = {"sub": "u-1", "iss": "idp", "aud": "api", "exp": NOW + 60, "tenant_id": TENANT, "roles": ["Cashier"]}
RSA = rsa.generate_private_key(65537, 2048)
PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims=None, /, *, key=SECRET, algorithm="HS256", headers=None, **changes):
    """Sign with PyJWT; a change to `...` takes the claim away."""
    merged = {**(CLAIMS if claims is None else claims), **changes}
    present = {name: value for name, value in merged.items() if value is not ...}
    return jwt.encode(present, key, algorithm=algorithm, headers={"kid": "k1", **(headers or {})})


def raw(header, claims, secret=None):
    """Build a token byte by byte, as an attacker does; JWT libraries refuse to. Bytes and text stand as they are."""
    parts = [b64(_bytes(part)) for part in (header, claims)]
    signing_input = ".".join(parts).encode()
    mac = b"" if secret is None else hmac.new(secret, signing_input, hashlib.sha256).digest()
    return ".".join([*parts, b64(mac)])


def _bytes(part):
    if isinstance(part, bytes):
        return part
    return (part if isinstance(part, str) else json.dumps(part)).encode()


def check(token, *, keys=None, clock=None, **options):
    given = {"k1": ("HS256", SECRET)} if keys is None else keys
    options = {"issuer": "idp", "audience": "api", "clock": clock or ManualClock(NOW), **options}
    return asyncio.run(JwtAuthenticator(given, **options).authenticate({"authorization": f"Bearer {token}"}))


def refused(token, **options):
    """Assert the 401 of a bad token and return its message."""
    with pytest.raises(ApiError) as caught:
        check(token, **options)
    error = caught.value
    assert (error.status, error.code) == (401, "unauthorized")
    assert dict(error.headers)["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    return error.message
