"""Verification keys of JWTs: which algorithms are taken, and keys loaded and measured for theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra
from tenaudit.security.key_source import find_key

try:
    import jwt
except ImportError as error:
    raise MissingExtra("jwt", "PyJWT") from error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ASYMMETRIC_ALGORITHMS", "SAFE_ALGORITHMS", "LocalKeys", "WrongKeyError", "prepared_key"]

ASYMMETRIC_ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"},
)
SAFE_ALGORITHMS = ASYMMETRIC_ALGORITHMS | {"HS256", "HS384", "HS512"}


class WrongKeyError(ValueError):
    """A key does not fit its algorithm or is too short for it; the text never quotes the key."""


def prepared_key(algorithm: str, key: Any) -> Any:
    """Return *key* as PyJWT verifies with it: loaded, its public half, long enough.

    Raises:
        WrongKeyError: the algorithm is not allowed, or the key is none of it or too short.
    """
    if algorithm not in SAFE_ALGORITHMS:
        raise WrongKeyError(f"algorithm {algorithm!r} is not in the allow-list")
    method = jwt.get_algorithm_by_name(algorithm)
    try:
        prepared = method.prepare_key(key.key if isinstance(key, jwt.PyJWK) else key)
        # Whoever configures the private key means its public half; PyJWT would fail on each token.
        prepared = prepared.public_key() if hasattr(prepared, "public_key") else prepared
        # RFC 7518 section 3.2: an HMAC key is at least as long as the hash; section 3.3: RSA has 2048 bits or more.
        too_short = method.check_key_length(prepared)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        # The error's text may quote the key, so only its kind is told.
        raise WrongKeyError(f"is no {algorithm} key ({type(error).__name__})") from None
    if too_short:
        raise WrongKeyError(f"is too short for {algorithm}")
    return prepared


class LocalKeys:
    """A `KeySource` of keys that the configuration holds.

    Args:
        keys: key id to (algorithm, key).

    Raises:
        ConfigurationError: no key, an algorithm outside the allow-list, or a key that does not fit its algorithm.

    Example:
        >>> import asyncio
        >>> keys = LocalKeys({"k1": ("HS256", "an example secret of at least 32 bytes")})
        >>> asyncio.run(keys.key_for("k2")) is None
        True
    """

    def __init__(self, keys: Mapping[str, tuple[str, Any]]) -> None:
        if not keys:
            raise ConfigurationError("JwtAuthenticator needs at least one key")
        self._keys: dict[str | None, tuple[str, Any]] = {
            kid: (algorithm, _configured(kid, algorithm, key)) for kid, (algorithm, key) in _pairs(keys)
        }

    async def key_for(self, kid: str | None) -> tuple[str, Any] | None:
        """Return the key of *kid*; without one, the only key there is."""
        return find_key(self._keys, kid)


def _pairs(keys: Mapping[str, tuple[str, Any]]) -> Iterator[tuple[str, tuple[str, Any]]]:
    for kid, pair in keys.items():
        given: object = pair
        if not isinstance(given, tuple | list) or len(given) != 2 or not isinstance(given[0], str):
            # What stands there instead may be the key itself, so it is not repeated.
            raise ConfigurationError(f"key {kid!r} must be a pair: its algorithm, and the key")
        yield kid, pair


def _configured(kid: str, algorithm: str, key: Any) -> Any:
    """Prepare a key at start-up, where a wrong one is a clear error and not a 401 for everybody."""
    try:
        return prepared_key(algorithm, key)
    except WrongKeyError as error:
        raise ConfigurationError(f"key {kid!r} {error}") from None
