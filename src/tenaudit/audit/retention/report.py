"""What a purge did, or would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenaudit.audit.event import wire_time

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tenaudit.audit.retention.records import ArchivedFile

__all__ = ["PurgeReport", "TenantPurge"]


@dataclass(frozen=True, slots=True)
class TenantPurge:
    """What became of one tenant.

    Args:
        tenant_id: whose events.
        days: the period that holds.
        before: the time before which events may go.
        rows: events that went, or would go.
        in_partitions: how many of them went with a whole partition.
        conflicts: second contents of ids that went with them.
        held: whether a legal hold kept everything.
        archives: the files that hold the events.
        error: why the purge of this tenant stopped, None when it did not.

    Example:
        >>> from datetime import UTC, datetime
        >>> from uuid import UUID
        >>> TenantPurge(UUID(int=1), 30, datetime(2026, 1, 1, tzinfo=UTC), rows=5).to_json()["before"]
        '2026-01-01T00:00:00.000000Z'
    """

    tenant_id: UUID
    days: int
    before: datetime
    rows: int = 0
    in_partitions: int = 0
    conflicts: int = 0
    held: bool = False
    archives: tuple[ArchivedFile, ...] = ()
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "tenant_id": str(self.tenant_id),
            "days": self.days,
            "before": wire_time(self.before),
            "rows": self.rows,
            "in_partitions": self.in_partitions,
            "conflicts": self.conflicts,
            "held": self.held,
            "archives": [file.to_json() for file in self.archives],
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What a purge did, or would do.

    Args:
        at: the time that periods were counted back from.
        dry_run: whether nothing was changed.
        tenants: one entry for each tenant that was looked at, in order.
        partitions: the partitions that were dropped, or would be.
        complete: whether it came to its end; the next purge goes on where this one stopped.

    Example:
        >>> from datetime import UTC, datetime
        >>> PurgeReport(datetime(2026, 1, 1, tzinfo=UTC), dry_run=True).rows
        0
    """

    at: datetime
    dry_run: bool
    tenants: tuple[TenantPurge, ...] = ()
    partitions: tuple[str, ...] = ()
    complete: bool = True

    @property
    def rows(self) -> int:
        """Events that went, or would go."""
        return sum(tenant.rows for tenant in self.tenants)

    @property
    def held(self) -> tuple[UUID, ...]:
        """The tenants that a legal hold kept."""
        return tuple(tenant.tenant_id for tenant in self.tenants if tenant.held)

    @property
    def errors(self) -> tuple[str, ...]:
        """Why purges of tenants stopped."""
        return tuple(f"tenant {one.tenant_id}: {one.error}" for one in self.tenants if one.error is not None)

    def to_json(self) -> dict[str, Any]:
        """Return `{"at", "dry_run", "complete", "rows", "partitions", "tenants"}`."""
        return {
            "at": wire_time(self.at),
            "dry_run": self.dry_run,
            "complete": self.complete,
            "rows": self.rows,
            "partitions": [*self.partitions],
            "tenants": [tenant.to_json() for tenant in self.tenants],
        }
