"""The part of retention that every store has in common: arguments, records of changes, and runs of a purge."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.retention.moments import wall_time
from tenaudit.audit.retention.purge import PurgeOptions, run_purge
from tenaudit.audit.retention.records import checked_text, hold_event, kept_record, period_event
from tenaudit.audit.retention.terms import Hold, checked_days

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from uuid import UUID

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.retention.report import PurgeReport
    from tenaudit.audit.retention.steps import PurgeSteps
    from tenaudit.audit.retention.terms import RetentionSettings

__all__ = ["KeepsForATime", "TermsChange"]


@dataclass(frozen=True, slots=True)
class TermsChange:
    """A change of what holds for a tenant, and the event that tells of it.

    Args:
        event: what is appended to the tenant's log.
        field: what is set.
        value: what it is set to.
    """

    event: AuditEvent
    field: Literal["retention_days", "held"]
    value: int | None

    def check(self, *, held: bool) -> None:
        """Refuse to place a hold twice, and to release what is not held.

        Raises:
            ConfigurationError: the tenant is in that state already.
        """
        if self.field == "held" and held == bool(self.value):
            state = "is held already; tenaudit audit hold list says by whom" if held else "is not held"
            raise ConfigurationError(f"tenant {self.event.tenant_id} {state}")


class KeepsForATime(ABC):
    """The calls of `RetentionStore` that purging, periods and holds are about."""

    _clock: Clock

    async def purge(
        self,
        tenant_id: UUID | None = None,
        *,
        dry_run: bool = False,
        archive: str | os.PathLike[str] | None = None,
        by: str = "tenaudit",
        default_days: int | None = None,
        batch: int = 2000,
        seconds: float = 3600.0,
        on_removed: Callable[[int], None] | None = None,
    ) -> PurgeReport:
        """Remove what has had its time, and write into each tenant's log what went.

        Each step is a transaction that deletes events and writes the record of it, so a purge may die anywhere, and the
        next one goes on. Held tenants are left alone.

        Args:
            tenant_id: whose events only, None for all.
            dry_run: whether it only says what would go.
            archive: a folder that gets every event before it is removed, as gzip of NDJSON.
            by: who asks for it; the record names them.
            default_days: the default period from now on; None leaves the one that the store keeps.
            batch: events of one transaction, 1 to 10000.
            seconds: how long the whole run may take; what is left then is the next one's.
            on_removed: called with the number of events of each step that is done.

        Raises:
            ConfigurationError: a number is out of range, or there is no such folder.
            PurgeBusy: another purge of the store is running.
            StoreError: the store or the disk of the archive failed; what was done until then stays done.
        """
        options = PurgeOptions(tenant_id, dry_run, archive, by, default_days, batch, seconds)
        if on_removed is not None:
            options = PurgeOptions(tenant_id, dry_run, archive, by, default_days, batch, seconds, on_removed)
        now = wall_time(self._clock)
        async with self._purge_steps(by, now, alone=not dry_run) as steps:
            if default_days is not None and not dry_run:
                await self._keep_default(default_days, by, now)
            return await run_purge(steps, options, self._clock, now)

    async def set_retention(self, days: int | None, *, tenant_id: UUID | None = None, by: str = "tenaudit") -> None:
        """Set the period of a tenant, which its log tells, or the default one.

        Args:
            days: 1 to 36500, counted from `occurred_at`; None, for a tenant, goes back to the default one.
            tenant_id: whose, None for the default one.
            by: who sets it.

        Raises:
            ConfigurationError: *days* or *by* cannot be that.
            StoreError: the store failed.
        """
        checked_text("by", by)
        if days is not None or tenant_id is None:
            checked_days(days)
        now = wall_time(self._clock)
        if tenant_id is not None:
            event = period_event(tenant_id, days, by, now)
            await self._change_terms(TermsChange(event, "retention_days", days))
        elif days is not None:
            await self._keep_default(days, by, now)

    async def hold(self, tenant_id: UUID, *, reason: str, by: str) -> None:
        """Keep everything of a tenant until it is released; once this returns, nothing more is purged.

        Raises:
            ConfigurationError: the tenant is held already, or a text is empty or too long.
            StoreError: the store failed.
        """
        await self._change_hold(tenant_id, reason, by, placed=True)

    async def release(self, tenant_id: UUID, *, reason: str, by: str) -> None:
        """End the hold of a tenant.

        Raises:
            ConfigurationError: the tenant is not held, or a text is empty or too long.
            StoreError: the store failed.
        """
        await self._change_hold(tenant_id, reason, by, placed=False)

    async def holds(self) -> tuple[Hold, ...]:
        """Return every hold that is in force, by tenant, from what the logs tell of it."""
        found = []
        for tenant_id, event_id, text in await self._hold_records():
            record = kept_record(text, tenant_id, event_id)
            if record is not None:
                found.append(Hold(tenant_id, record.by, record.reason, record.at))
        return tuple(sorted(found, key=lambda hold: hold.tenant_id.int))

    async def _change_hold(self, tenant_id: UUID, reason: str, by: str, *, placed: bool) -> None:
        checked_text("reason", reason)
        checked_text("by", by)
        event = hold_event(tenant_id, reason, by, wall_time(self._clock), placed=placed)
        await self._change_terms(TermsChange(event, "held", int(placed)))

    @abstractmethod
    async def retention(self) -> RetentionSettings:
        """Return the default period, and periods, holds and purges of each tenant that has a log."""

    @abstractmethod
    def _purge_steps(self, by: str, now: datetime, *, alone: bool) -> AbstractAsyncContextManager[PurgeSteps]:
        """Give out the steps of a purge; *alone* keeps every other purge out, or raises `PurgeBusy`."""

    @abstractmethod
    async def _keep_default(self, days: int, by: str, now: datetime) -> None:
        """Set the default period, unless it is that already."""

    @abstractmethod
    async def _change_terms(self, change: TermsChange) -> None:
        """Set a tenant's field and append the event that tells of it, both or neither."""

    @abstractmethod
    async def _hold_records(self) -> Iterable[tuple[UUID, UUID, str]]:
        """Return tenant, event id and text of the newest record of a hold of every tenant that is held."""
