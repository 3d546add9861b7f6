"""The same signatures made and checked by another implementation of RFC 9421."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from http_message_signatures.structures import CaseInsensitiveDict

if TYPE_CHECKING:
    from tenaudit.security import SignedTarget
    from tenaudit.testing.clock import ManualClock

Pairs = list[tuple[str, str]]
_DERIVED = ["@method", "@authority", "@path", "@query"]


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, private: Any, public: Any) -> None:
        self._private = private
        self._public = public

    def resolve_private_key(self, key_id: str) -> Any:
        return self._private

    def resolve_public_key(self, key_id: str) -> Any:
        return self._public


class Message:
    def __init__(self, headers: Pairs, request: SignedTarget) -> None:
        self.method = request.method
        self.url = f"https://{request.authority}{request.target}"
        self.headers = CaseInsensitiveDict(headers)


def peer_signed(
    headers: Pairs, request: SignedTarget, private: Any, clock: ManualClock, *, nonce: str | None = None
) -> Pairs:
    """Return the headers with a signature that the other implementation made."""
    message = Message(headers, request)
    algorithm = algorithms.HMAC_SHA256 if isinstance(private, bytes) else algorithms.ED25519
    created = datetime.fromtimestamp(clock.time_ns() // 10**9, UTC)
    HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=Keys(private, None)).sign(
        message,
        key_id="k1",
        created=created,
        expires=created + timedelta(seconds=30),
        nonce=nonce,
        label="gateway",
        tag="tenaudit",
        covered_component_ids=[*(name.lower() for name, _ in headers), *_DERIVED],
    )
    return [*headers, *((name, message.headers[name]) for name in ("Signature-Input", "Signature"))]


def peer_accepts(sent: Pairs, request: SignedTarget, public: Any) -> bool:
    """Tell whether the other implementation takes a signature."""
    algorithm = algorithms.HMAC_SHA256 if isinstance(public, bytes) else algorithms.ED25519
    verifier = HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=Keys(None, public))
    return bool(verifier.verify(Message(sent, request), max_age=timedelta(days=36500)))
