"""A tenant's events in the order of its log, which is the order in which the file took them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.backends.sqlite.rows import event_from_row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from uuid import UUID

    from tenaudit.audit import AuditEvent

__all__ = ["follow_log", "log_size"]


def follow_log(
    connection: sqlite3.Connection, statements: Mapping[str, str], tenant_id: UUID, after: int, limit: int
) -> list[tuple[int, AuditEvent]]:
    """Return events behind a position, each with its own; the leaf of index 0 has position 1.

    Raises:
        StoreError: a row was tampered with and is no event.
    """
    wanted = {"tenant_id": str(tenant_id), "after": after, "limit": limit}
    return [(row["leaf_idx"] + 1, event_from_row(row)) for row in connection.execute(statements["follow_log"], wanted)]


def log_size(connection: sqlite3.Connection, statements: Mapping[str, str], tenant_id: UUID) -> int:
    """Return how many events the tenant's log has taken."""
    row = connection.execute(statements["read_log"], {"tenant_id": str(tenant_id)}).fetchone()
    return 0 if row is None else int(row["size"])
