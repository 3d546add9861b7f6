"""API keys: a visible prefix to find the record, a secret of which only a hash is stored."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit.errors import ApiError
from tenaudit.security.context import Actor
from tenaudit.security.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from tenaudit._kernel.clock import Clock

__all__ = ["ApiKeyAuthenticator", "ApiKeyRecord", "ApiKeyStore", "InMemoryApiKeyStore", "new_api_key"]

_KEY = re.compile(r"(ta_[0-9a-f]{12})_([A-Za-z0-9_\-]{43})\Z")
_NO_HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """What is stored of a key: never the secret.

    Args:
        prefix: visible part, `ta_` and 12 hex digits; it names the key in logs and audit events.
        secret_hash: SHA-256 of the secret, 32 bytes; the secret has 256 random bits, so no slow hash is needed.
        tenant_id: the tenant that the key acts for.
        roles: roles that the key carries.
        expires_at: Unix seconds, or None for no end.
        revoked: a revoked key is refused at once.
    """

    prefix: str
    secret_hash: bytes = field(repr=False)
    tenant_id: UUID
    roles: frozenset[str]
    expires_at: float | None = None
    revoked: bool = False


class ApiKeyStore(Protocol):
    """Where key records live."""

    async def get(self, prefix: str) -> ApiKeyRecord | None:
        """Return the record of a prefix, or None."""
        ...

    async def put(self, record: ApiKeyRecord) -> None:
        """Add or replace a record."""
        ...


class InMemoryApiKeyStore:
    """Keeps key records in this process.

    Example:
        >>> import asyncio
        >>> from uuid import UUID
        >>> key, record = new_api_key(UUID(int=1), ["Inventory"])
        >>> store = InMemoryApiKeyStore([record])
        >>> principal = asyncio.run(ApiKeyAuthenticator(store).authenticate({"x-api-key": key}))
        >>> principal.actor.type, sorted(principal.roles)
        ('api_key', ['Inventory'])
    """

    def __init__(self, records: Iterable[ApiKeyRecord] = ()) -> None:
        self._records = {record.prefix: record for record in records}

    async def get(self, prefix: str) -> ApiKeyRecord | None:
        """Return the record of a prefix, or None."""
        return self._records.get(prefix)

    async def put(self, record: ApiKeyRecord) -> None:
        """Add or replace a record."""
        self._records[record.prefix] = record

    async def revoke(self, prefix: str) -> bool:
        """Revoke a key; False when there is none of that prefix."""
        record = self._records.get(prefix)
        if record is not None:
            self._records[prefix] = replace(record, revoked=True)
        return record is not None


def new_api_key(tenant_id: UUID, roles: Iterable[str], *, expires_at: float | None = None) -> tuple[str, ApiKeyRecord]:
    """Make a key of 256 random bits; the full key is returned once and stored nowhere.

    Raises:
        ConfigurationError: *roles* is one string instead of a list, or *expires_at* is not a finite number.
    """
    if isinstance(roles, str):
        raise ConfigurationError("roles is a list of names, not one string")
    if expires_at is not None and not math.isfinite(expires_at):
        raise ConfigurationError("expires_at must be a finite number of Unix seconds, or None")
    prefix = f"ta_{secrets.token_hex(6)}"
    secret = secrets.token_urlsafe(32)
    record = ApiKeyRecord(prefix, _hash(secret), tenant_id, frozenset(map(str, roles)), expires_at)
    return f"{prefix}_{secret}", record


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


class ApiKeyAuthenticator:
    """Turns `X-API-Key` into a principal.

    An unknown prefix costs the same compare as a wrong secret, and both get the same answer.

    Args:
        store: where records are looked up.
        header: name of the header that carries the key, in any case.
        clock: time source of the expiry.
    """

    def __init__(self, store: ApiKeyStore, *, header: str = "x-api-key", clock: Clock | None = None) -> None:
        self._store = store
        self._header = header.lower()
        self._clock = clock or SystemClock()

    async def authenticate(self, headers: Mapping[str, str]) -> Principal | None:
        """Return the principal of an API key, None without one; 401 `unauthorized` for a bad one."""
        presented = headers.get(self._header)
        if presented is None:
            return None
        match = _KEY.match(presented)
        if match is None:
            raise _refused()
        prefix, secret = match.groups()
        record = await self._store.get(prefix)
        stored = record.secret_hash if record is not None else _NO_HASH
        matches = hmac.compare_digest(stored, _hash(secret))
        if record is None or not matches or record.revoked or self._expired(record):
            raise _refused()
        return Principal(record.tenant_id, Actor(record.prefix, "api_key"), record.roles, "api_key")

    def _expired(self, record: ApiKeyRecord) -> bool:
        return record.expires_at is not None and self._clock.time_ns() / 1e9 >= record.expires_at


def _refused() -> ApiError:
    return ApiError.unauthorized("The API key is not valid.", challenge="ApiKey")
