"""The steps of a purge of the file: reading goes beside the writer, and each removal is one transaction of it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from tenaudit.audit.event import wire_time
from tenaudit.audit.retention.steps import AlteredEvent, OldEvent, PurgeSteps
from tenaudit.backends.sqlite.expiry import settings_of
from tenaudit.backends.sqlite.rows import event_from_row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from tenaudit.audit.retention.records import Removal
    from tenaudit.audit.retention.terms import RetentionSettings
    from tenaudit.backends.sqlite.purge_log import PurgeLog
    from tenaudit.backends.sqlite.worker import SqliteWorker

__all__ = ["SqlitePurgeSteps"]

_SCANNED_AT_ONCE = 10_000


class SqlitePurgeSteps(PurgeSteps):
    """The steps of one purge.

    Args:
        writer: removes.
        reader: looks for what may go.
        log: writes the records.
    """

    def __init__(self, writer: SqliteWorker, reader: SqliteWorker, log: PurgeLog) -> None:
        self._writer, self._reader, self._log = writer, reader, log
        self._sql = log.statements
        self._scanned: dict[UUID, str] = {}

    async def settings(self) -> RetentionSettings:
        """Return the default period and what is known of each tenant."""
        return await self._reader.run(settings_of, self._sql)

    async def count(self, tenant_id: UUID, before: datetime) -> int:
        """Return how many events of a tenant occurred before a time."""
        values = {"tenant_id": str(tenant_id), "before": wire_time(before)}
        counted = await self._reader.run(lambda c: c.execute(self._sql["count_old"], values).fetchone())
        return int(counted[0])

    async def old_events(self, tenant_id: UUID, before: datetime, limit: int, *, whole: bool) -> Sequence[OldEvent]:
        """Return events that occurred before a time; each event is looked at once a run."""
        while True:
            ids = await self._reader.run(self._scan, tenant_id, wire_time(before), limit)
            if ids is None:
                return ()
            # None of them may have a place in the log, where someone put events in by hand: they are left to `verify`.
            if found := await self._reader.run(self._logged, tenant_id, ids, whole):
                return found

    def _scan(self, connection: sqlite3.Connection, tenant_id: UUID, before: str, limit: int) -> list[str] | None:
        """Return ids of old events among the next ones, None at the end."""
        after = self._scanned.get(tenant_id, "")
        values = {"tenant_id": str(tenant_id), "after": after, "limit": _SCANNED_AT_ONCE}
        rows = connection.execute(self._sql["scan_times"], values).fetchall()
        if not rows:
            return None
        old = [row["event_id"] for row in rows if row["occurred_at"] < before][:limit]
        # What is cut short goes on behind its last event.
        self._scanned[tenant_id] = old[-1] if len(old) == limit else rows[-1]["event_id"]
        return old

    def _logged(
        self,
        connection: sqlite3.Connection,
        tenant_id: UUID,
        ids: Sequence[str],
        whole: bool,  # noqa: FBT001 - by position through the worker
    ) -> list[OldEvent]:
        asked = {"tenant_id": str(tenant_id), "ids": json.dumps(ids)}
        rows = connection.execute(self._sql["logged_events"], asked).fetchall()
        return [self._old_event(row, whole=whole) for row in rows]

    def _old_event(self, row: sqlite3.Row, *, whole: bool) -> OldEvent:
        if whole and not self._log.fits(row):
            raise AlteredEvent(f"event {row['event_id']} was altered, so it is not archived; verify the store")
        event = event_from_row(row) if whole else None
        try:
            event_id, occurred_at = UUID(row["event_id"]), datetime.fromisoformat(row["occurred_at"])
        except ValueError:
            raise AlteredEvent(f"event {row['event_id']!r} was altered; verify the store") from None
        return OldEvent(row["leaf_idx"], event_id, occurred_at, event)

    async def remove(self, tenant_id: UUID, events: Sequence[OldEvent], removal: Removal) -> None:
        """Delete events and write the record of it, both or neither."""
        await self._writer.run(self._log.remove, tenant_id, events, removal)

    async def remove_conflicts(self, tenant_id: UUID, before: datetime) -> int:
        """Delete kept second contents that occurred before a time."""
        return await self._writer.run(self._log.remove_conflicts, tenant_id, before)
