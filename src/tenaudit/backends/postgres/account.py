"""Counting each producer's events in the database, a part at a time, for so long and no longer.

All of it is one snapshot, so that nothing which arrives meanwhile looks like a gap. It is about one tenant at a time:
PostgreSQL gives no row of another.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenaudit.audit import StoreError
from tenaudit.audit.closing import CLOSED
from tenaudit.audit.producer_rows import ProducerRows, StoreAccount
from tenaudit.backends.postgres.rows import plain_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tenaudit.audit.producer_rows import AccountWindow
    from tenaudit.backends.postgres.pool import Session

__all__ = ["read_account"]

_PART = 2000
_CLOSINGS = 1000


async def read_account(
    session: Session, window: AccountWindow, held: Mapping[UUID, Sequence[UUID]], seconds: float
) -> StoreAccount:
    """Return the account; see `tenaudit.audit.producer_rows.Accounts`. Each part has the session's deadline anew.

    Raises:
        StoreError: it took too long, or there are too many producers.
    """
    reader = _Reader(session, window, seconds)
    tenants = [plain_uuid(row["tenant_id"]) for row in await session.rows("logged_tenants")]
    also_stored: set[tuple[UUID, UUID]] = set()
    for tenant_id in tenants:
        await session.rows("name_tenant", str(tenant_id))
        await reader.count(tenant_id)
        await reader.read_closings(tenant_id)
        also_stored.update([(tenant_id, event_id) for event_id in await reader.stored(tenant_id, held)])
    return StoreAccount(reader.rows.finish(), frozenset(also_stored))


class _Reader:
    """Reads the tenants of one account."""

    def __init__(self, session: Session, window: AccountWindow, seconds: float) -> None:
        self._session = session
        self._window = window
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        # The parts begin behind an id.
        self._before = UUID(int=max(0, window.first.int - 1))
        self.rows = ProducerRows()

    async def count(self, tenant_id: UUID) -> None:
        """Add a tenant's numbered events by producer."""
        place = self._before
        while groups := await self._part("count_producers", tenant_id, place, self._window.last, _PART):
            for group in groups:
                # A number without a producer, or the other way round, is in nobody's account.
                if group["producer_id"] is not None and group["lowest"] is not None:
                    self.rows.add(*[group[name] for name in ("producer_id", "service", "stored", "lowest", "highest")])
            place = plain_uuid(groups[0]["reached"])

    async def read_closings(self, tenant_id: UUID) -> None:
        """Add a tenant's closing records."""
        place = self._before
        while found := await self._part("closing_records", tenant_id, CLOSED, place, self._window.last, _CLOSINGS):
            for row in found:
                if row["producer_id"] is not None and row["seq"] is not None:
                    self.rows.close(row["producer_id"], row["seq"], row["payload"])
            place = plain_uuid(found[-1]["event_id"])

    async def stored(self, tenant_id: UUID, held: Mapping[UUID, Sequence[UUID]]) -> list[UUID]:
        """Return which of the held events a tenant has."""
        ids = sorted(held.get(tenant_id, ()))
        found: list[UUID] = []
        for start in range(0, len(ids), _PART):
            part = ids[start : start + _PART]
            rows = await self._part("also_stored", tenant_id, part, part[0], part[-1])
            found += [plain_uuid(row["event_id"]) for row in rows]
        return found

    async def _part(self, statement: str, *values: Any) -> list[Any]:
        if time.monotonic() >= self._until:
            raise StoreError(f"the account took over {self._seconds:g} s; narrow its time")
        rows = await self._session.rows(statement, *values)
        self._session.extend()
        return rows
