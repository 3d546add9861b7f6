"""A new secret for an old purpose: both keys work for a while, then only the new one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit.security.api_key_record import ApiKeyChangeError, ApiKeyRecord, earliest, is_time
from tenaudit.security.api_key_secret import random_key

if TYPE_CHECKING:
    from tenaudit._kernel.clock import Clock
    from tenaudit.security.api_key_store import ApiKeyStore

__all__ = ["DEFAULT_OVERLAP", "ApiKeyRotation", "rotate_api_key"]

# Seconds that an old and a new key both work: a day for every client to take the new one.
DEFAULT_OVERLAP = 86_400.0


@dataclass(frozen=True, slots=True)
class ApiKeyRotation:
    """What takes the place of a key.

    Args:
        prefix: visible part of the new key.
        secret_hash: SHA-256 of the new key's secret.
        at: Unix seconds of the rotation.
        overlap: seconds for which the old key goes on working; 0 revokes it at once.

    Raises:
        ConfigurationError: *at* or *overlap* is no finite number, or *overlap* is negative.

    Example:
        >>> from uuid import UUID
        >>> old = ApiKeyRecord("ta_0123456789ab", bytes(32), UUID(int=1), frozenset({"Cashier"}))
        >>> ended, fresh = ApiKeyRotation("ta_ba9876543210", bytes(32), at=100.0, overlap=60.0).apply(old)
        >>> ended.expires_at, ended.replaced_by, sorted(fresh.roles), fresh.rotated_from
        (160.0, 'ta_ba9876543210', ['Cashier'], 'ta_0123456789ab')
    """

    prefix: str
    secret_hash: bytes = field(repr=False)
    at: float
    overlap: float = DEFAULT_OVERLAP

    def __post_init__(self) -> None:
        if not is_time(self.at):
            raise ConfigurationError("at must be a finite number of Unix seconds")
        if not (is_time(self.overlap) and self.overlap >= 0):
            raise ConfigurationError("overlap must be a finite number of seconds, 0 or more")

    def apply(self, old: ApiKeyRecord) -> tuple[ApiKeyRecord, ApiKeyRecord]:
        """Return the old record with its end, and the new one, which lives as long as the old one was meant to.

        An old key whose making nobody noted hands on its own end: no rotation lengthens what cannot be measured.

        Raises:
            ApiKeyChangeError: the old key is revoked, has expired or was rotated before.
        """
        if old.revoked:
            raise ApiKeyChangeError(f"the key {old.prefix} is revoked; create a new key")
        if old.expired(self.at):
            raise ApiKeyChangeError(f"the key {old.prefix} has expired; create a new key")
        if old.replaced_by is not None:
            raise ApiKeyChangeError(f"the key {old.prefix} was replaced by {old.replaced_by}; rotate that one")
        expires_at = old.expires_at
        if expires_at is not None and old.created_at is not None:
            expires_at = self.at + (expires_at - old.created_at)
        fresh = replace(
            old,
            prefix=self.prefix,
            secret_hash=self.secret_hash,
            created_at=self.at,
            expires_at=expires_at,
            rotated_from=old.prefix,
        )
        ended = replace(old, replaced_by=self.prefix, expires_at=earliest(old.expires_at, self.at + self.overlap))
        return (ended if self.overlap else ended.revoked_since(self.at)), fresh


async def rotate_api_key(
    store: ApiKeyStore, prefix: str, *, overlap: float = DEFAULT_OVERLAP, clock: Clock | None = None
) -> tuple[str, ApiKeyRecord]:
    """Make the successor of a key, which has the same tenant, roles and name; return it whole, once, and its record.

    Args:
        store: where the key is.
        prefix: visible part of the key.
        overlap: seconds for which the old key goes on working, a day by default; 0 revokes it at once.
        clock: time source.

    Raises:
        ApiKeyChangeError: there is no such key, it has ended, or it was rotated before.
        ApiKeyStoreError: the store cannot be used now.
        ConfigurationError: *overlap* is negative or not finite.

    Example:
        >>> import asyncio
        >>> from uuid import UUID
        >>> from tenaudit.security import InMemoryApiKeyStore, new_api_key
        >>> _, record = new_api_key(UUID(int=1), ["Inventory"], name="tills")
        >>> key, fresh = asyncio.run(rotate_api_key(InMemoryApiKeyStore([record]), record.prefix))
        >>> fresh.name, fresh.rotated_from == record.prefix, key.startswith(fresh.prefix)
        ('tills', True, True)
    """
    key, new_prefix, secret_hash = random_key()
    at = (clock or SystemClock()).time_ns() / 1e9
    return key, await store.rotate(prefix, ApiKeyRotation(new_prefix, secret_hash, at, overlap))
