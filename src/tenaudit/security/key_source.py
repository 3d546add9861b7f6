"""The port that a token check gets its verification keys through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX_KID", "KeySource", "find_key"]

# Characters of a key id that is looked for or remembered; those in use have 10 to 64.
MAX_KID = 256


@runtime_checkable
class KeySource(Protocol):
    """Gives the verification key of a key id; `tenaudit.backends.jwks.JwksKeySource` is one that asks over HTTP.

    Example:
        >>> class One:
        ...     async def key_for(self, kid):
        ...         return ("HS256", b"an example secret of at least 32 bytes") if kid == "k1" else None
        >>> isinstance(One(), KeySource)
        True
    """

    async def key_for(self, kid: str | None) -> tuple[str, Any] | None:
        """Return the algorithm and the prepared key of *kid*, None when there is no such key.

        *kid* is None for a token without one. What is returned is trusted: the algorithm is the key's own and
        allowed, and the key was measured.

        Raises:
            ApiError: 503 `unavailable`, since the keys cannot be had now.
        """
        ...


def find_key(keys: Mapping[str | None, tuple[str, Any]], kid: str | None) -> tuple[str, Any] | None:
    """Return the key of *kid* in *keys*; without one, the only key there is."""
    if kid is None:
        return next(iter(keys.values())) if len(keys) == 1 else None
    return keys.get(kid)
