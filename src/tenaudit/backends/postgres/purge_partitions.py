"""The steps of a purge that take a month's partition as a whole.

A partition is looked through without a lock; then the logs of its tenants are locked, so that nothing of theirs comes
in, and what came in since is asked for. The table is dropped and the records are written in that one transaction.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from tenaudit.audit.retention.steps import DamagedLog, PartitionRows, TermsChanged, WholePartition
from tenaudit.backends.postgres.partitions import first_id, month_after
from tenaudit.backends.postgres.pool import PostgresBusy
from tenaudit.backends.postgres.purge_steps import READ_ONLY, RowSteps
from tenaudit.backends.postgres.rows import plain_uuid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from uuid import UUID

    from tenaudit.audit.retention.records import Removal
    from tenaudit.audit.retention.steps import OldEvent
    from tenaudit.backends.postgres.pool import Session

__all__ = ["PostgresPurgeSteps"]

# More pieces than that are many records, and rows do as well.
_MOST_RANGES = 50_000


class PostgresPurgeSteps(RowSteps):
    """All steps of a purge in PostgreSQL."""

    async def partitions(self, befores: Mapping[UUID, datetime]) -> AsyncIterator[WholePartition]:
        """Yield partitions in which no tenant has anything else than what is older than its time."""
        newest = max(befores.values(), default=None)
        async with self._pool.transaction(mode=READ_ONLY) as session:
            names = [str(row["name"]) for row in await session.query(self._sql["month_partitions"])]
        for name in names:
            month = date(int(name[-7:-3]), int(name[-2:]), 1)
            if newest is None or datetime.combine(month_after(month), time(), UTC) > newest:
                return
            if (found := await self._whole(name, month, befores)) is not None:
                yield found

    async def partition_events(
        self, partition: WholePartition, tenant_id: UUID, after: int, limit: int
    ) -> Sequence[OldEvent]:
        """Return whole events of one tenant in a partition behind a place of its log."""
        await self._still_alone()
        bounds = _bounds(_month_of(partition))
        async with self._pool.transaction([tenant_id], mode=READ_ONLY) as session:
            rows = await session.query(self._sql["partition_events"], tenant_id, after, *bounds, limit)
        return [self._log.old_event(row, whole=True) for row in rows]

    async def drop(self, partition: WholePartition, removals: Mapping[UUID, Sequence[Removal]]) -> bool:
        """Drop a partition and write the records of it; False when others are in the way, or something came in."""
        month = _month_of(partition)

        async def dropped(session: Session) -> bool:
            if removals:
                await self._log.lock(session, {tenant: several[0] for tenant, several in removals.items()})
                sizes = [rows.size for rows in partition.tenants.values()]
                came = await session.query(self._sql["came_since"], *_bounds(month), [*partition.tenants], sizes)
                if came[0][0]:
                    raise TermsChanged("an event came into the partition meanwhile")
            gone = await session.query(self._sql["drop_partition"], month)
            if not gone[0][0]:
                raise TermsChanged("the partition holds events of others, or is gone")
            if removals:
                await self._log.record(session, removals)
            return True

        try:
            return await self._briefly([*partition.tenants], dropped)
        except (PostgresBusy, TermsChanged, DamagedLog):
            return False

    async def _whole(self, name: str, month: date, befores: Mapping[UUID, datetime]) -> WholePartition | None:
        """Return what a partition holds when every row of it may go."""
        await self._still_alone()
        async with self._pool.transaction(mode=READ_ONLY) as session:
            rows = await session.query(self._sql["partition_tenants"], month)
        tenants = [plain_uuid(row["tenant_id"]) for row in rows]
        if not befores.keys() >= set(tenants):
            return None
        async with self._pool.transaction(tenants, mode=READ_ONLY) as session:
            times = [befores[tenant] for tenant in tenants]
            young = await session.query(self._sql["holds_young"], *_bounds(month), tenants, times)
            if young[0][0]:
                return None
            sizes = {
                plain_uuid(row["tenant_id"]): row["size"]
                for row in await session.query(self._sql["log_sizes"], tenants)
            }
            places = await session.query(self._sql["partition_places"], *_bounds(month), _MOST_RANGES + 1)
        if len(places) > _MOST_RANGES or any(row["first"] is None for row in places):
            return None
        return WholePartition(name, f"{month:%Y-%m}", _by_tenant(places, sizes))


def _by_tenant(places: Sequence[Any], sizes: Mapping[UUID, int]) -> dict[UUID, PartitionRows]:
    found: dict[UUID, list[Any]] = {}
    for row in places:
        found.setdefault(plain_uuid(row["tenant_id"]), []).append(row)
    return {
        tenant: PartitionRows(
            tuple((row["first"], row["last"]) for row in rows), max(row["newest"] for row in rows), sizes[tenant]
        )
        for tenant, rows in found.items()
    }


def _month_of(partition: WholePartition) -> date:
    return date.fromisoformat(f"{partition.month}-01")


def _bounds(month: date) -> tuple[UUID, UUID]:
    return first_id(month), first_id(month_after(month))
