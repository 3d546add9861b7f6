"""How many of the events that an import brings have had their time already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenaudit.audit.retention.moments import wall_time
from tenaudit.audit.retention.terms import cutoff

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit import AppendResult, AuditEvent
    from tenaudit.audit.retention import RetentionSettings, RetentionStore

__all__ = ["ExpiryCount"]


class ExpiryCount:
    """A store that counts, of what is appended to it, what the next purge takes.

    Args:
        store: the store itself, which does everything.
        clock: tells when that is.
    """

    def __init__(self, store: RetentionStore, clock: Clock) -> None:
        self._store = store
        self._now = wall_time(clock)
        self._befores: dict[UUID, datetime | None] = {}
        self._settings: RetentionSettings | None = None
        self.expiring = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(self, events: Sequence[AuditEvent]) -> AppendResult:
        """Append events, and count those that are older than their tenant's period."""
        if self._settings is None:
            self._settings = await self._store.retention()
            for one in self._settings.tenants:
                days = one.period(self._settings.default_days)
                self._befores[one.tenant_id] = None if one.held else cutoff(self._now, days)
        result = await self._store.append(events)
        usual = cutoff(self._now, self._settings.default_days)
        befores = ((event.occurred_at, self._befores.get(event.tenant_id, usual)) for event in events)
        old = sum(before is not None and moment < before for moment, before in befores)
        self.expiring += old - result.expired
        return result
