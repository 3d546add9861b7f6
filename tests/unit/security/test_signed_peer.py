"""Signed contexts between this implementation and another one of RFC 9421, and Ed25519 keys."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tenaudit import ConfigurationError, MissingExtra
from tenaudit.security import ContextSigner, SignatureKey, SignedTarget
from tests.unit.security.signed import IDENTITY, KEY, REQUEST, SECRET, Pair, replaced
from tests.unit.security.signed_by_peer import peer_accepts, peer_signed

PRIVATE = Ed25519PrivateKey.generate()
PUBLIC = PRIVATE.public_key()
PEM = serialization.Encoding.PEM


def public_pem(key: Any) -> bytes:
    return bytes(key.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))


def private_pem(key: Any) -> bytes:
    return bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def ed25519(key: Any = PRIVATE) -> SignatureKey:
    return SignatureKey.ed25519("k1", key)


@pytest.mark.parametrize(("key", "secret"), [(KEY, SECRET), (ed25519(), PRIVATE)], ids=["hmac", "ed25519"])
def test_what_the_other_signs_is_taken_here(key: SignatureKey, secret: Any) -> None:
    pair = Pair(key)
    sent = peer_signed(IDENTITY, REQUEST, secret, pair.clock)
    assert pair.read(sent).actor.id == "u-1"
    pair.refused(replaced(sent, "X-Roles", "SuperAdmin"), "altered")


@pytest.mark.parametrize(("key", "secret"), [(KEY, SECRET), (ed25519(), PUBLIC)], ids=["hmac", "ed25519"])
@pytest.mark.parametrize("target", ["/orders/7?verbose=1", "/a%20b", "/", "/a?b=%2F&c="])
def test_what_is_signed_here_the_other_takes(key: SignatureKey, secret: Any, target: str) -> None:
    from datetime import UTC, datetime

    from tenaudit.testing.clock import ManualClock

    request = SignedTarget("GET", "orders.internal", target)
    signer = ContextSigner(key, clock=ManualClock(start=datetime.now(UTC).timestamp()))
    assert peer_accepts(IDENTITY + signer.sign(IDENTITY, request), request, secret)


def test_a_public_key_checks_and_cannot_sign() -> None:
    pair = Pair(ed25519(), keys=[ed25519(public_pem(PUBLIC))])
    assert pair.read(pair.sent()).actor.id == "u-1"
    with pytest.raises(ConfigurationError, match="only check"):
        ContextSigner(ed25519(PUBLIC))


def test_pem_text_of_the_private_key_signs() -> None:
    pair = Pair(ed25519(private_pem(PRIVATE).decode()), keys=[ed25519(PUBLIC)])
    assert pair.read(pair.sent()).actor.id == "u-1"


def test_a_public_key_used_as_a_shared_secret_is_refused() -> None:
    pair = Pair(ed25519(), keys=[ed25519(PUBLIC)])
    for secret in (public_pem(PUBLIC), PUBLIC.public_bytes_raw()):
        sent = peer_signed(IDENTITY, REQUEST, secret, pair.clock)
        pair.refused(sent, "wrong_algorithm")
        silent = [(name, value.replace(';alg="hmac-sha256"', "")) for name, value in sent]
        assert silent != sent
        pair.refused(silent, "altered")
        lying = [(name, value.replace('alg="hmac-sha256"', 'alg="ed25519"')) for name, value in sent]
        pair.refused(lying, "altered")


def test_a_key_pair_of_the_name_of_a_shared_secret_is_refused() -> None:
    pair = Pair(KEY)
    sent = peer_signed(IDENTITY, REQUEST, PRIVATE, pair.clock)
    pair.refused(sent, "wrong_algorithm")
    pair.refused([(name, value.replace(';alg="ed25519"', "")) for name, value in sent], "altered")


def test_a_context_without_a_tenant_is_refused_though_a_known_key_signed_it() -> None:
    pair = Pair()
    pair.refused(peer_signed([("X-Roles", "Cashier")], REQUEST, SECRET, pair.clock), "missing_component")


def test_another_private_key_of_the_same_name_is_refused() -> None:
    pair = Pair(ed25519(Ed25519PrivateKey.generate()), keys=[ed25519(PUBLIC)])
    pair.refused(pair.sent(), "altered")


def test_single_use_needs_a_nonce_that_the_signer_need_not_send() -> None:
    pair = Pair(single_use=True)
    pair.refused(peer_signed(IDENTITY, REQUEST, SECRET, pair.clock), "no_nonce")
    pair.refused(peer_signed(IDENTITY, REQUEST, SECRET, pair.clock, nonce="n" * 255), "no_nonce")
    pair.refused(peer_signed(IDENTITY, REQUEST, SECRET, pair.clock, nonce=""), "no_nonce")
    once = peer_signed(IDENTITY, REQUEST, SECRET, pair.clock, nonce="n-1")
    assert pair.read(once).actor.id == "u-1"
    pair.refused(once, "replayed")


def test_without_cryptography_an_ed25519_key_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(MissingExtra, match=r"tenaudit\[crypto\]"):
        ed25519(PUBLIC)


@pytest.mark.parametrize(
    "key",
    [
        "no pem",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        rsa.generate_private_key(65537, 2048),
        private_pem(rsa.generate_private_key(65537, 2048)),
        None,
    ],
    ids=["text", "garbage", "rsa", "rsa-pem", "none"],
)
def test_what_is_no_ed25519_key(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="k1"):
        ed25519(key)
