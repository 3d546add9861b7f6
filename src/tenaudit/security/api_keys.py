"""API keys as a credential: `X-API-Key` in, a principal out."""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING

from tenaudit._kernel.clock import SystemClock
from tenaudit.errors import ApiError
from tenaudit.security.api_key_cache import RecordCache
from tenaudit.security.api_key_record import ApiKeyChangeError, ApiKeyRecord, new_api_key
from tenaudit.security.api_key_rotation import ApiKeyRotation, rotate_api_key
from tenaudit.security.api_key_secret import hash_secret, split_key
from tenaudit.security.api_key_store import (
    ApiKeyLookup,
    ApiKeyPage,
    ApiKeyStore,
    ApiKeyStoreError,
    InMemoryApiKeyStore,
)
from tenaudit.security.context import Actor
from tenaudit.security.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenaudit._kernel.clock import Clock

__all__ = [
    "ApiKeyAuthenticator",
    "ApiKeyChangeError",
    "ApiKeyLookup",
    "ApiKeyPage",
    "ApiKeyRecord",
    "ApiKeyRotation",
    "ApiKeyStore",
    "ApiKeyStoreError",
    "InMemoryApiKeyStore",
    "new_api_key",
    "rotate_api_key",
]

_log = logging.getLogger("tenaudit.security.api_keys")
_NO_HASH = bytes(32)
_RETRY_AFTER = 1


class ApiKeyAuthenticator:
    """Turns `X-API-Key` into a principal.

    An unknown prefix costs the same lookup and the same compare as a wrong secret, and both get the same answer. A
    store that fails is no verdict on the key: 503 `unavailable`.

    Args:
        store: where records are looked up.
        header: name of the header that carries the key, in any case.
        clock: time source of the expiry and of the cache.
        cache_seconds: how long a record that was found good is used again without asking the store, 0 to 300. With
            the default, 0, a revoked key is refused from the next request on; otherwise it may work for so much
            longer in each process, and a store that fails is noticed so much later.
        cache_size: how many records are kept at most.

    Raises:
        ConfigurationError: an argument is out of range.

    Example:
        >>> import asyncio
        >>> from uuid import UUID
        >>> key, record = new_api_key(UUID(int=1), ["Inventory"])
        >>> check = ApiKeyAuthenticator(InMemoryApiKeyStore([record]))
        >>> principal = asyncio.run(check.authenticate({"x-api-key": key}))
        >>> principal.actor.type, sorted(principal.roles)
        ('api_key', ['Inventory'])
    """

    scheme = "ApiKey"

    def __init__(
        self,
        store: ApiKeyLookup,
        *,
        header: str = "x-api-key",
        clock: Clock | None = None,
        cache_seconds: float = 0,
        cache_size: int = 1024,
    ) -> None:
        self._store = store
        self._header = header.lower()
        self._clock = clock or SystemClock()
        self._cache = RecordCache(cache_seconds, cache_size)

    async def authenticate(self, headers: Mapping[str, str]) -> Principal | None:
        """Return the principal of an API key, None without one.

        Raises:
            ApiError: 401 `unauthorized` for a bad key; 503 `unavailable` when the store cannot be used now.
        """
        presented = headers.get(self._header)
        if presented is None:
            return None
        parts = split_key(presented)
        if parts is None:
            raise _refused()
        prefix, secret_hash = parts[0], hash_secret(parts[1])
        asked_at = self._clock.monotonic()
        record = self._cache.find(prefix, asked_at)
        # A wrong secret asks the store even where the record is at hand, so that it takes as long as any other.
        if record is None or not hmac.compare_digest(record.secret_hash, secret_hash):
            record = await self._found(prefix, secret_hash, asked_at)
        if record.expired(self._clock.time_ns() / 1e9):
            raise _refused()
        return Principal(record.tenant_id, Actor(record.prefix, "api_key"), record.roles, "api_key")

    async def _found(self, prefix: str, secret_hash: bytes, asked_at: float) -> ApiKeyRecord:
        try:
            record = await self._store.get(prefix)
        except ApiKeyStoreError as error:
            told = {"action": "api_key_store_failed", "error": str(error)}
            _log.warning("an API key could not be looked up", extra=told)
            raise ApiError.unavailable("Credentials cannot be checked now.", retry_after=_RETRY_AFTER) from error
        # Compared in any case: whether there is such a key must not show in the time that the answer takes.
        matches = hmac.compare_digest(record.secret_hash if record is not None else _NO_HASH, secret_hash)
        if record is None or record.revoked:
            self._cache.drop(prefix)
            raise _refused()
        if not matches:
            raise _refused()
        self._cache.keep(record, asked_at)
        return record


def _refused() -> ApiError:
    return ApiError.unauthorized("The API key is not valid.", challenge="ApiKey")
