"""The gateway's side: signing the identity headers of a request that it passes on."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit.security.signing.base import COMPONENT_OF, TAG, UnsignableError, derived_values, signature_base

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenaudit._kernel.clock import Clock
    from tenaudit.security.signing.keys import SignatureKey
    from tenaudit.security.signing.target import SignedTarget

__all__ = ["ContextSigner"]

_MAX_LIFETIME = 3600.0


class ContextSigner:
    """Signs identity headers together with the request line (RFC 9421).

    Args:
        key: the one key that signs; rotation means that verifiers know the next key before this changes.
        lifetime: seconds that a signature is good for, 1 to 3600.
        clock: time source.
        random_bytes: source of nonces.

    Raises:
        ConfigurationError: the key can only check, or the lifetime is out of range.

    Example:
        >>> from tenaudit.security import SignatureKey, SignedTarget
        >>> signer = ContextSigner(SignatureKey.hmac_sha256("k1", b"an example secret of 32 bytes!!!"))
        >>> headers = [("X-Tenant-ID", "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f")]
        >>> [name for name, _ in signer.sign(headers, SignedTarget("GET", "orders", "/orders/7"))]
        ['Signature-Input', 'Signature']
    """

    def __init__(
        self,
        key: SignatureKey,
        *,
        lifetime: float = 30.0,
        clock: Clock | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if key.sign is None:
            raise ConfigurationError(f"key {key.key_id!r} can only check signatures; the signer needs the private key")
        if not 1 <= lifetime <= _MAX_LIFETIME:
            raise ConfigurationError(f"lifetime must be 1 to {_MAX_LIFETIME:.0f} seconds, not {lifetime}")
        self._sign = key.sign
        self._tail = f';keyid="{key.key_id}";alg="{key.algorithm}"'
        self._lifetime = int(lifetime)
        self._clock = clock or SystemClock()
        self._random = random_bytes

    def sign(
        self, headers: Mapping[str, str] | Iterable[tuple[str, str]], request: SignedTarget
    ) -> list[tuple[str, str]]:
        """Return the two fields to add to the request; headers other than identity headers are not looked at.

        Args:
            headers: name and value pairs as they will be sent, each name once.
            request: the request line as it will be sent.

        Raises:
            ConfigurationError: no verifier would take what is to be signed: no `X-Tenant-ID`, an identity header that
                is there twice or with underscores, a value that is not ASCII or holds a line break.
        """
        values = {**derived_values(request), **_identity(headers.items() if isinstance(headers, Mapping) else headers)}
        created = self._clock.time_ns() // 1_000_000_000
        parameters = (
            f"({' '.join(values)});created={created};expires={created + self._lifetime}{self._tail}"
            f';nonce="{self._random(16).hex()}";tag="{TAG}"'
        )
        try:
            base = signature_base(values, values, parameters)
        except UnsignableError as error:
            raise ConfigurationError(f"the context cannot be signed: {error}") from None
        signature = b64encode(self._sign(base)).decode()
        return [("Signature-Input", f"{TAG}={parameters}"), ("Signature", f"{TAG}=:{signature}:")]


def _identity(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the identity headers by their identifiers, in the order they came in."""
    identity: dict[str, str] = {}
    for name, value in pairs:
        lowered = name.lower()
        component = COMPONENT_OF.get(lowered)
        if component is None:
            if "_" in lowered and lowered.replace("_", "-") in COMPONENT_OF:
                raise ConfigurationError(f"{name} is spelled with underscores; strip_identity_headers removes it")
            continue
        if component in identity:
            raise ConfigurationError(f"{name} is there twice; a signed context has each header once")
        # RFC 9421 section 2.1: without the whitespace around it.
        identity[component] = value.strip(" \t")
    if '"x-tenant-id"' not in identity:
        raise ConfigurationError("X-Tenant-ID is missing; a signed context has a tenant")
    return identity
