"""What it costs to sign an identity with its request, and to check it, beside another implementation and a JWT.

Ours: `ContextSigner.sign` and `ContextVerifier.verify`; `signed/extract-hmac` is `extract_context` with
    `trust="signed"`, which is the whole way to a context.
http-message-signatures: the same covered components, keys and parameters by its signer and verifier; to a verified
    message.
pyjwt-hs256: the same identity as an HS256 token, which is bound to no request.

Not shown: `single_use`, which adds a dictionary look-up under a lock.
"""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any

from benchmarks.peer import Peer, installed
from benchmarks.result import AtMost, compare
from benchmarks.rounds import Contender, measure
from benchmarks.sample_request import CONTEXT
from tenaudit.security import (
    ContextSigner,
    ContextVerifier,
    Principal,
    SecuritySettings,
    SignatureKey,
    SignedTarget,
    extract_context,
    synthesize_headers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.result import Result
    from benchmarks.rounds import Plan

__all__ = ["run"]

_NAME = "http-message-signatures"
_SECRET = b"k" * 32
_IDENTITY = synthesize_headers(Principal(CONTEXT.tenant_id, CONTEXT.actor, CONTEXT.roles, CONTEXT.auth_method))
_REQUEST = SignedTarget("POST", "payments.internal", "/payments/p-1/void?reason=wrong")
_HOUR = 3600


def run(plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
    """Yield signing and checking, with HMAC-SHA256 and with Ed25519."""
    shared = SignatureKey.hmac_sha256("k1", _SECRET)
    sign, verify = _hmac_peers()
    yield compare(
        "signed/sign-hmac",
        measure([_signing(shared), *installed(sign, note)], plan),
        unit="us",
        scale=1e6,
        targets=[AtMost(25)],
    )
    yield compare(
        "signed/verify-hmac",
        measure([_checking(shared), *installed(verify, note)], plan),
        unit="us",
        scale=1e6,
        targets=[AtMost(25)],
    )
    yield compare(
        "signed/extract-hmac", measure([_extracting(shared)], plan), unit="us", scale=1e6, targets=[AtMost(25)]
    )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    pair = SignatureKey.ed25519("k1", private)
    sign, verify = _ed25519_peers(private)
    yield compare("signed/sign-ed25519", measure([_signing(pair), *installed(sign, note)], plan), unit="us", scale=1e6)
    yield compare(
        "signed/verify-ed25519", measure([_checking(pair), *installed(verify, note)], plan), unit="us", scale=1e6
    )


def _contender(name: str, call: Callable[[], Any]) -> Contender:
    def run(count: int) -> None:
        for _ in repeat(None, count):
            call()

    return Contender(name, run)


def _signing(key: SignatureKey) -> Contender:
    sign = ContextSigner(key).sign
    return _contender("ours", lambda: sign(_IDENTITY, _REQUEST))


def _checking(key: SignatureKey) -> Contender:
    verify = ContextVerifier([key], max_age=_HOUR).verify
    headers = _IDENTITY + ContextSigner(key, lifetime=_HOUR).sign(_IDENTITY, _REQUEST)
    return _contender("ours", lambda: verify(headers, _REQUEST))


def _extracting(key: SignatureKey) -> Contender:
    settings = SecuritySettings(trust="signed", verifier=ContextVerifier([key], max_age=_HOUR))
    headers = _IDENTITY + ContextSigner(key, lifetime=_HOUR).sign(_IDENTITY, _REQUEST)
    return _contender("ours", lambda: extract_context(headers, settings=settings, request=_REQUEST))


def _hmac_peers() -> tuple[list[Peer], list[Peer]]:
    peer = partial(_peer, "HMAC_SHA256", _SECRET, _SECRET)
    return (
        [Peer(_NAME, _NAME, partial(_peer_signing, peer)), Peer("pyjwt-hs256", "pyjwt", _jwt_signing)],
        [Peer(_NAME, _NAME, partial(_peer_checking, peer)), Peer("pyjwt-hs256", "pyjwt", _jwt_checking)],
    )


def _ed25519_peers(private: Any) -> tuple[list[Peer], list[Peer]]:
    peer = partial(_peer, "ED25519", private, private.public_key())
    return [Peer(_NAME, _NAME, partial(_peer_signing, peer))], [Peer(_NAME, _NAME, partial(_peer_checking, peer))]


class _Message:
    def __init__(self, headers: Any) -> None:
        self.method = _REQUEST.method
        self.url = f"https://{_REQUEST.authority}{_REQUEST.target}"
        self.headers = headers


def _peer(algorithm: str, private: Any, public: Any) -> tuple[Any, Any, Callable[[], _Message]]:
    from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
    from http_message_signatures.structures import CaseInsensitiveDict

    class Keys(HTTPSignatureKeyResolver):
        def resolve_private_key(self, key_id: str) -> Any:  # noqa: ARG002 - the peer's port
            return private

        def resolve_public_key(self, key_id: str) -> Any:  # noqa: ARG002 - the peer's port
            return public

    make = {"signature_algorithm": getattr(algorithms, algorithm), "key_resolver": Keys()}
    return HTTPMessageSigner(**make), HTTPMessageVerifier(**make), lambda: _Message(CaseInsensitiveDict(_IDENTITY))


def _peer_sign(signer: Any, message: _Message) -> None:
    covered = ["@method", "@authority", "@path", "@query", *(name.lower() for name, _ in _IDENTITY)]
    signer.sign(message, key_id="k1", label="tenaudit", tag="tenaudit", covered_component_ids=covered)


def _peer_signing(peer: Callable[[], tuple[Any, Any, Callable[[], _Message]]]) -> Contender:
    signer, _, message = peer()
    return _contender(_NAME, lambda: _peer_sign(signer, message()))


def _peer_checking(peer: Callable[[], tuple[Any, Any, Callable[[], _Message]]]) -> Contender:
    signer, verifier, message = peer()
    signed = message()
    _peer_sign(signer, signed)
    return _contender(_NAME, lambda: verifier.verify(signed, max_age=timedelta(hours=1)))


def _token() -> str:
    import jwt

    claims = {"sub": CONTEXT.actor.id, "tenant": str(CONTEXT.tenant_id), "roles": sorted(CONTEXT.roles)}
    return jwt.encode({**claims, "exp": int(time.time()) + _HOUR}, _SECRET, algorithm="HS256")


def _jwt_signing() -> Contender:
    return _contender("pyjwt-hs256", _token)


def _jwt_checking() -> Contender:
    import jwt

    token = _token()
    return _contender("pyjwt-hs256", lambda: jwt.decode(token, _SECRET, algorithms=["HS256"]))
