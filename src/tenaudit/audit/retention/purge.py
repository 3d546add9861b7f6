"""One run of a purge: partitions as a whole where that can be, then batches, each archived before it is removed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

from tenaudit._kernel.bounds import check_counts, check_seconds
from tenaudit.audit.ports import StoreError
from tenaudit.audit.retention.archive import ArchiveFile, checked_folder
from tenaudit.audit.retention.moments import id_month
from tenaudit.audit.retention.ranges import ranges_of, rows_of, slices
from tenaudit.audit.retention.records import Removal, checked_text
from tenaudit.audit.retention.report import PurgeReport, TenantPurge
from tenaudit.audit.retention.steps import AlteredEvent, DamagedLog, TermsChanged
from tenaudit.audit.retention.terms import checked_days, cutoff

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.retention.ranges import Range
    from tenaudit.audit.retention.records import ArchivedFile
    from tenaudit.audit.retention.steps import OldEvent, PurgeSteps, WholePartition
    from tenaudit.audit.retention.terms import RetentionSettings, TenantTerms

__all__ = ["MAX_BATCH", "PurgeOptions", "run_purge"]

MAX_BATCH = 10_000
"""Most events of one step, which one transaction deletes."""
# Whole events are held in memory until they are on disk, and one may have 64 KiB.
_ARCHIVED_AT_ONCE = 500


def _ignore(_events: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class PurgeOptions:
    """What is asked of a purge.

    Args:
        tenant_id: whose events only, None for all.
        dry_run: whether it only says what would go.
        archive: a folder that gets every event before it is removed.
        by: who asks for it.
        default_days: the default period, None for the one that the store keeps.
        batch: events of one transaction, 1 to 10000.
        seconds: how long the whole run may take; it then stops between two steps.
        on_removed: called with the number of events of each step that is done.

    Raises:
        ConfigurationError: a number is out of range, the text is none, or there is no such folder.

    Example:
        >>> PurgeOptions(batch=100).dry_run
        False
    """

    tenant_id: UUID | None = None
    dry_run: bool = False
    archive: str | os.PathLike[str] | None = None
    by: str = "tenaudit"
    default_days: int | None = None
    batch: int = 2000
    seconds: float = 3600.0
    on_removed: Callable[[int], None] = field(default=_ignore)

    def __post_init__(self) -> None:
        check_counts(most=MAX_BATCH, batch=self.batch)
        check_seconds(seconds=self.seconds)
        checked_text("by", self.by)
        if self.default_days is not None:
            checked_days(self.default_days, "default_days")
        if self.archive is not None:
            checked_folder(self.archive)


async def run_purge(steps: PurgeSteps, options: PurgeOptions, clock: Clock, now: datetime) -> PurgeReport:
    """Remove what has had its time, and return what went.

    Args:
        steps: the store's.
        options: what is asked.
        clock: tells how long it takes.
        now: the time that periods are counted back from, which the steps write into their records too.

    Raises:
        StoreError: the store or the disk of the archive failed; what was done until then stays done.
    """
    return await _Run(steps, options, clock, now).run()


class _Run:
    def __init__(self, steps: PurgeSteps, options: PurgeOptions, clock: Clock, now: datetime) -> None:
        self._steps = steps
        self._options = options
        self._clock = clock
        self._now = now
        self._until = clock.monotonic() + options.seconds
        self._folder = None if options.archive is None else checked_folder(options.archive)
        self._done: dict[UUID, TenantPurge] = {}
        self._partitions: list[str] = []
        self._complete = True

    async def run(self) -> PurgeReport:
        settings = await self._steps.settings()
        wanted = [one for one in settings.tenants if self._options.tenant_id in {None, one.tenant_id}]
        self._done = {one.tenant_id: self._begun(one, settings) for one in wanted}
        try:
            if self._options.tenant_id is None:
                await self._drop_partitions()
            for tenant_id in self._done:
                await self._purge(tenant_id)
        except OSError as error:
            raise StoreError(f"the archive cannot be written: {error.strerror}; make room, and purge again") from error
        return PurgeReport(
            self._now, self._options.dry_run, tuple(self._done.values()), tuple(self._partitions), self._complete
        )

    def _begun(self, terms: TenantTerms, settings: RetentionSettings) -> TenantPurge:
        days = terms.period(self._options.default_days or settings.default_days)
        return TenantPurge(terms.tenant_id, days, cutoff(self._now, days), held=terms.held)

    def _may_go_on(self) -> bool:
        in_time = self._clock.monotonic() < self._until
        # A tenant that was not purged to its end keeps no other from it; time does.
        self._complete = self._complete and in_time
        return in_time

    async def _drop_partitions(self) -> None:
        befores = {one.tenant_id: one.before for one in self._done.values() if not one.held}
        async for partition in self._steps.partitions(befores):
            if not self._may_go_on():
                return
            if self._options.dry_run:
                self._partitions.append(partition.name)
                self._count_dropped(partition, {})
                continue
            try:
                files = await self._archive_partition(partition)
            except (AlteredEvent, DamagedLog):
                # Its events go row by row, but for those of the tenant that this is about, who is told of it there.
                continue
            removals = {tenant: self._removals(partition, tenant, files.get(tenant)) for tenant in partition.tenants}
            if await self._steps.drop(partition, removals):
                self._partitions.append(partition.name)
                self._count_dropped(partition, files)
            else:
                self._forget(list(files.values()))

    def _removals(self, partition: WholePartition, tenant: UUID, file: ArchivedFile | None) -> list[Removal]:
        rows, done = partition.tenants[tenant], self._done[tenant]
        archives = () if file is None else (file,)
        return [
            Removal(tuple(part), rows.newest, done.before, done.days, archives if number == 0 else ())
            for number, part in enumerate(slices(rows.ranges))
        ]

    def _count_dropped(self, partition: WholePartition, files: dict[UUID, ArchivedFile]) -> None:
        for tenant, rows in partition.tenants.items():
            count = rows_of(rows.ranges)
            self._add(tenant, 0 if self._options.dry_run else count, [files[tenant]] if tenant in files else [])
            done = self._done[tenant]
            self._done[tenant] = replace(done, in_partitions=done.in_partitions + count)

    async def _archive_partition(self, partition: WholePartition) -> dict[UUID, ArchivedFile]:
        if self._folder is None:
            return {}
        files: dict[UUID, ArchivedFile] = {}
        try:
            for tenant, rows in partition.tenants.items():
                pages = self._pages(partition, tenant)
                span = (rows.ranges[0][0], rows.ranges[-1][1])
                files[tenant] = await _written(self._folder, tenant, partition.month, pages, span)
        except StoreError:
            self._forget(list(files.values()))
            raise
        return files

    async def _pages(self, partition: WholePartition, tenant: UUID) -> AsyncIterable[Sequence[OldEvent]]:
        after = -1
        while page := await self._steps.partition_events(partition, tenant, after, _ARCHIVED_AT_ONCE):
            yield page
            after = page[-1].index

    async def _purge(self, tenant: UUID) -> None:
        done = self._done[tenant]
        if done.held:
            return
        if self._options.dry_run:
            self._add(tenant, await self._steps.count(tenant, done.before), [])
            return
        limit = self._options.batch if self._folder is None else min(self._options.batch, _ARCHIVED_AT_ONCE)
        try:
            while self._may_go_on():
                found = await self._steps.old_events(tenant, done.before, limit, whole=self._folder is not None)
                if not found:
                    break
                for part in _of_few_ranges(found):
                    await self._remove(tenant, part)
            if self._may_go_on():
                gone = await self._steps.remove_conflicts(tenant, done.before)
                self._done[tenant] = replace(self._done[tenant], conflicts=gone)
        except (TermsChanged, AlteredEvent, DamagedLog) as error:
            self._complete = False
            self._done[tenant] = replace(self._done[tenant], error=str(error))

    async def _remove(self, tenant: UUID, events: Sequence[OldEvent]) -> None:
        done = self._done[tenant]
        files = [] if self._folder is None else await _archived(self._folder, tenant, events)
        ranges = ranges_of(event.index for event in events)
        newest = max(event.occurred_at for event in events)
        try:
            await self._steps.remove(tenant, events, Removal(ranges, newest, done.before, done.days, tuple(files)))
        except TermsChanged:
            self._forget(files)
            raise
        self._add(tenant, len(events), files)

    def _add(self, tenant: UUID, rows: int, files: list[ArchivedFile]) -> None:
        done = self._done[tenant]
        self._done[tenant] = replace(done, rows=done.rows + rows, archives=(*done.archives, *files))
        if not self._options.dry_run:
            self._options.on_removed(rows)

    def _forget(self, files: Sequence[ArchivedFile]) -> None:
        """Remove archives of events that stay after all."""
        for file in files:
            assert self._folder is not None
            (self._folder / file.name).unlink(missing_ok=True)


def _of_few_ranges(events: Sequence[OldEvent]) -> Iterator[Sequence[OldEvent]]:
    """Yield the events in parts, each as many as one record can name."""
    start = 0
    for ranges in slices(ranges_of(event.index for event in events)):
        end = start + rows_of(ranges)
        yield events[start:end]
        start = end


async def _archived(folder: Path, tenant: UUID, events: Sequence[OldEvent]) -> list[ArchivedFile]:
    """Write events to a file for each month, and return what the record says of them."""
    files = []
    for month, of_month in groupby(sorted(events, key=_month_and_place), key=lambda event: id_month(event.event_id)):
        part = [*of_month]
        files.append(await _written(folder, tenant, month, _one(part), (part[0].index, part[-1].index)))
    return files


def _month_and_place(event: OldEvent) -> tuple[str, int]:
    return id_month(event.event_id), event.index


async def _one(page: Sequence[OldEvent]) -> AsyncIterator[Sequence[OldEvent]]:
    yield page


async def _written(
    folder: Path, tenant: UUID, month: str, pages: AsyncIterable[Sequence[OldEvent]], span: Range
) -> ArchivedFile:
    """Write a file off the event loop, which goes on while the disk works."""
    file = await asyncio.to_thread(ArchiveFile, folder, tenant, month)
    try:
        async for page in pages:
            await asyncio.to_thread(file.add, [event.event for event in page if event.event is not None])
        return await asyncio.to_thread(file.finish, span)
    except BaseException:
        file.abandon()
        raise
