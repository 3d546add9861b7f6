"""What a store that can forget a person offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tenaudit.audit.ports import Store

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.audit.erasure.report import ErasureReport

__all__ = ["ErasureStore"]


class ErasureStore(Store, Protocol):
    """A store that takes one person's values out of what it keeps."""

    async def erase(
        self,
        subject: str,
        *,
        tenant_id: UUID,
        dry_run: bool = False,
        by: str = "tenaudit",
        batch: int = 500,
        seconds: float = 3600.0,
    ) -> ErasureReport:
        """Take a person's values out of a tenant's trail, and write into its log where they stood."""
        ...
