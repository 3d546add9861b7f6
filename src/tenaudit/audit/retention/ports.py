"""What a store that keeps events for a time offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tenaudit.audit.ports import Store

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from uuid import UUID

    from tenaudit.audit.retention.report import PurgeReport
    from tenaudit.audit.retention.terms import Hold, RetentionSettings

__all__ = ["RetentionStore"]


class RetentionStore(Store, Protocol):
    """A store whose events have a period, and whose tenants can be held."""

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
        """Remove what has had its time, and write into each tenant's log what went; see `PurgeOptions`."""
        ...

    async def retention(self) -> RetentionSettings:
        """Return the default period, and periods, holds and purges of each tenant that has a log."""
        ...

    async def set_retention(self, days: int | None, *, tenant_id: UUID | None = None, by: str = "tenaudit") -> None:
        """Set the period of a tenant (None: back to the default one), or the default one when none is named."""
        ...

    async def hold(self, tenant_id: UUID, *, reason: str, by: str) -> None:
        """Keep everything of a tenant until it is released; a tenant that is held is refused."""
        ...

    async def release(self, tenant_id: UUID, *, reason: str, by: str) -> None:
        """End the hold of a tenant; one that is not held is refused."""
        ...

    async def holds(self) -> tuple[Hold, ...]:
        """Return every hold that is in force, by tenant."""
        ...
