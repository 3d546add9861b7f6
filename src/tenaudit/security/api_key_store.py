"""Where the records of API keys live: the port, and a store in this process."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError, TenauditError
from tenaudit.security.api_key_record import ApiKeyRecord, no_such_key, prefix_taken
from tenaudit.security.api_key_secret import is_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self
    from uuid import UUID

    from tenaudit.security.api_key_rotation import ApiKeyRotation

__all__ = [
    "MAX_PAGE",
    "ApiKeyLookup",
    "ApiKeyPage",
    "ApiKeyStore",
    "ApiKeyStoreError",
    "InMemoryApiKeyStore",
    "check_page",
]

MAX_PAGE = 1000
_DEFAULT_PAGE = 100


class ApiKeyStoreError(TenauditError):
    """The store of API keys cannot be used now; a change that was asked for may have been made or not."""


@dataclass(frozen=True, slots=True)
class ApiKeyPage:
    """Some records in the order of their prefixes.

    Args:
        records: the records.
        next_after: what to pass as *after* for the next page, None on the last one.

    Example:
        >>> ApiKeyPage(()).next_after is None
        True
    """

    records: tuple[ApiKeyRecord, ...]
    next_after: str | None = None

    @classmethod
    def cut(cls, records: Iterable[ApiKeyRecord], limit: int) -> ApiKeyPage:
        """Return the page of at most *limit* records from one record more, if there is one."""
        found = tuple(records)
        return cls(found[:limit], found[limit - 1].prefix if len(found) > limit else None)


class ApiKeyLookup(Protocol):
    """All that a check of keys asks of a store."""

    async def get(self, prefix: str) -> ApiKeyRecord | None:
        """Return the record of a prefix, or None.

        Raises:
            ApiKeyStoreError: the store cannot be used now.
        """
        ...


class ApiKeyStore(ApiKeyLookup, Protocol):
    """Where key records live; every method raises `ApiKeyStoreError` when the store cannot be used now."""

    async def put(self, record: ApiKeyRecord) -> None:
        """Add a record, or update the one of the same key; what ended the key is not undone.

        Raises:
            ApiKeyChangeError: another key has the prefix.
        """
        ...

    async def list(
        self, tenant_id: UUID | None = None, *, limit: int = _DEFAULT_PAGE, after: str | None = None
    ) -> ApiKeyPage:
        """Return at most *limit* records, 1 to 1000, whose prefixes come behind *after*; of one tenant or of all.

        Raises:
            ConfigurationError: *limit* is out of range, or *after* is no prefix.
        """
        ...

    async def revoke(self, prefix: str, at: float) -> bool:
        """Revoke a key as of *at*, in Unix seconds; False when there is none of that prefix."""
        ...

    async def rotate(self, prefix: str, rotation: ApiKeyRotation) -> ApiKeyRecord:
        """Add the successor of a key and give the old one its end, both or neither; return the successor.

        Raises:
            ApiKeyChangeError: there is no such key, it has ended, or it was rotated before.
        """
        ...

    async def close(self) -> None:
        """Let go of what the store holds; a second call does nothing."""
        ...


class InMemoryApiKeyStore:
    """Keeps key records in this process; safe in threads.

    Example:
        >>> import asyncio
        >>> from uuid import UUID
        >>> from tenaudit.security import new_api_key
        >>> key, record = new_api_key(UUID(int=1), ["Inventory"])
        >>> store = InMemoryApiKeyStore([record])
        >>> asyncio.run(store.revoke(record.prefix, at=1_800_000_000.0))
        True
        >>> asyncio.run(store.get(record.prefix)).revoked
        True
    """

    def __init__(self, records: Iterable[ApiKeyRecord] = ()) -> None:
        self._records = {record.prefix: record for record in records}
        self._lock = threading.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def get(self, prefix: str) -> ApiKeyRecord | None:
        """Return the record of a prefix, or None."""
        return self._records.get(prefix)

    async def put(self, record: ApiKeyRecord) -> None:
        """Add a record, or update the one of the same key.

        Raises:
            ApiKeyChangeError: another key has the prefix.
        """
        with self._lock:
            known = self._records.get(record.prefix)
            self._records[record.prefix] = record if known is None else known.updated(record)

    async def list(
        self, tenant_id: UUID | None = None, *, limit: int = _DEFAULT_PAGE, after: str | None = None
    ) -> ApiKeyPage:
        """Return at most *limit* records, 1 to 1000, whose prefixes come behind *after*.

        Raises:
            ConfigurationError: *limit* is out of range, or *after* is no prefix.
        """
        check_page(limit, after)
        with self._lock:
            known = sorted(self._records.items())
        wanted = (
            record
            for prefix, record in known
            if (after is None or prefix > after) and (tenant_id is None or record.tenant_id == tenant_id)
        )
        return ApiKeyPage.cut((record for record, _ in zip(wanted, range(limit + 1), strict=False)), limit)

    async def revoke(self, prefix: str, at: float | None = None) -> bool:
        """Revoke a key, False when there is none of that prefix; without *at* it is noted as of now."""
        since = SystemClock().time_ns() / 1e9 if at is None else at
        with self._lock:
            record = self._records.get(prefix)
            if record is not None:
                self._records[prefix] = record.revoked_since(since)
        return record is not None

    async def rotate(self, prefix: str, rotation: ApiKeyRotation) -> ApiKeyRecord:
        """Add the successor of a key and give the old one its end; return the successor.

        Raises:
            ApiKeyChangeError: there is no such key, it has ended, or it was rotated before.
        """
        with self._lock:
            old = self._records.get(prefix)
            if old is None:
                raise no_such_key(prefix)
            ended, fresh = rotation.apply(old)
            if fresh.prefix in self._records:
                raise prefix_taken(fresh.prefix)
            self._records |= {prefix: ended, fresh.prefix: fresh}
        return fresh

    async def close(self) -> None:
        """Do nothing: the records are this object's."""


def check_page(limit: int, after: str | None) -> None:
    """Refuse a page that no store has.

    Raises:
        ConfigurationError: *limit* is not 1 to 1000, or *after* is no prefix.
    """
    given: object = limit
    if not isinstance(given, int) or not 1 <= limit <= MAX_PAGE:
        raise ConfigurationError(f"limit must be 1 to {MAX_PAGE}, not {limit}")
    if after is not None and not is_prefix(after):
        raise ConfigurationError("after must be the prefix of a key: ta_ and 12 hex digits")
