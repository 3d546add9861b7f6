"""Keys of signed contexts: HMAC-SHA256 shared by both sides, or Ed25519 with the private half at the gateway."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra
from tenaudit.security.forms import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SignatureKey"]

# The hash's own length (RFC 2104 section 3).
_MIN_SECRET = 32


@dataclass(frozen=True, slots=True)
class SignatureKey:
    """One key, with the one algorithm that it is good for: a message never chooses (RFC 9421 section 7.3.6).

    Made by `hmac_sha256` or `ed25519`.

    Args:
        key_id: names the key in the signature.
        algorithm: as registered for RFC 9421: `hmac-sha256` or `ed25519`.
        sign: makes a signature of bytes; None for a key that can only check.
        verify: tells whether a signature is that of bytes.

    Example:
        >>> key = SignatureKey.hmac_sha256("2026-11", b"an example secret of 32 bytes!!!")
        >>> key.verify(b"text", key.sign(b"text"))
        True
    """

    key_id: str
    algorithm: str
    sign: Callable[[bytes], bytes] | None = field(repr=False, compare=False)
    verify: Callable[[bytes, bytes], bool] = field(repr=False, compare=False)

    @classmethod
    def hmac_sha256(cls, key_id: str, secret: bytes | str) -> SignatureKey:
        """Make a key that both sides share (RFC 9421 section 3.3.3).

        Raises:
            ConfigurationError: the secret is no bytes or text, shorter than 32 bytes or the text of a PEM key, or
                *key_id* is no token.
        """
        try:
            # By way of a view, since bytes() of a number would be as many zeros.
            raw = secret.encode() if isinstance(secret, str) else bytes(memoryview(secret))
        except (TypeError, UnicodeEncodeError):
            # The error of a text holds it whole, so it is not passed on.
            raise ConfigurationError(f"key {key_id!r}: the secret is no bytes, and no text in UTF-8") from None
        if b"-----BEGIN " in raw:
            # Whoever knows the public half of a pair could sign with it.
            raise ConfigurationError(f"key {key_id!r}: a PEM key is no shared secret; use SignatureKey.ed25519")
        if len(raw) < _MIN_SECRET:
            raise ConfigurationError(f"key {key_id!r}: an HMAC-SHA256 secret has at least {_MIN_SECRET} bytes")

        # The key is taken in once; a copy of that state is a third cheaper than hmac.digest.
        keyed = hmac.new(raw, digestmod="sha256")

        def sign(text: bytes) -> bytes:
            state = keyed.copy()
            state.update(text)
            return state.digest()

        def verify(text: bytes, signature: bytes) -> bool:
            return hmac.compare_digest(sign(text), signature)

        return cls(_checked(key_id), "hmac-sha256", sign, verify)

    @classmethod
    def ed25519(cls, key_id: str, key: Any) -> SignatureKey:
        """Make a key of an Ed25519 private or public key (RFC 9421 section 3.3.6).

        Args:
            key_id: names the key in the signature.
            key: PEM text or bytes, or a key object of `cryptography`; a public key can only check.

        Raises:
            ConfigurationError: it is no Ed25519 key, or *key_id* is no token.
            MissingExtra: `cryptography` is not installed.
        """
        private, public = _ed25519_pair(key_id, key)
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - needs an extra, so only on use

        def verify(text: bytes, signature: bytes) -> bool:
            try:
                public.verify(signature, text)
            except InvalidSignature:
                return False
            return True

        return cls(_checked(key_id), "ed25519", None if private is None else private.sign, verify)


def _checked(key_id: str) -> str:
    given: object = key_id
    if not isinstance(given, str) or TOKEN.match(key_id) is None or '"' in key_id or "\\" in key_id:
        raise ConfigurationError("a key id is 1 to 128 visible ASCII characters without comma, quote or backslash")
    return key_id


def _ed25519_pair(key_id: str, key: Any) -> tuple[Any, Any]:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - needs an extra, so only on use
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - the same
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - the same
    except ImportError as error:
        raise MissingExtra("crypto", "cryptography") from error
    if isinstance(key, str | bytes):
        try:
            pem = key.encode() if isinstance(key, str) else key
            load: Any = serialization.load_pem_private_key if b"PRIVATE" in pem else serialization.load_pem_public_key
            key = load(pem, password=None) if b"PRIVATE" in pem else load(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            # The error's text may quote the key, so only its kind is told.
            raise ConfigurationError(f"key {key_id!r} is no PEM key ({type(error).__name__})") from None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key, key.public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        return None, key
    raise ConfigurationError(f"key {key_id!r} is no Ed25519 key")
