"""Removing events and writing the records of it, within a transaction that is about their tenants."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from tenaudit.audit import StoreError
from tenaudit.audit.retention.records import is_older, purge_event
from tenaudit.audit.retention.steps import AlteredEvent, OldEvent, TermsChanged
from tenaudit.backends.postgres.expiry import default_days, terms_of
from tenaudit.backends.postgres.log import append_rows
from tenaudit.backends.postgres.rows import SealedRow, actual_leaf, event_from_row, plain_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any
    from uuid import UUID

    from tenaudit.audit import AuditEvent
    from tenaudit.audit.retention.kept import TermsChange
    from tenaudit.audit.retention.records import Removal
    from tenaudit.backends.postgres.pool import Session

__all__ = ["PurgeLog"]

_number = attrgetter("int")
_FIELDS = {"retention_days": "write_retention_days", "held": "write_held"}
_CONFLICTS_AT_ONCE = 500


class PurgeLog:
    """What retention does with logs; every method takes the session it works in.

    Args:
        key: secret of the content hashes.
        statements: the named statements of retention.
        by: who asks for it.
        now: when.
    """

    def __init__(self, key: bytes, statements: Mapping[str, str], by: str, now: datetime) -> None:
        self._key = key
        self.statements = self._sql = statements
        self.by = by
        self.now = now

    async def remove(self, session: Session, tenant_id: UUID, events: Sequence[OldEvent], removal: Removal) -> None:
        """Delete events and append the record of it.

        Raises:
            TermsChanged: the tenant is held now, or its period is another one.
            StoreError: an event went meanwhile.
        """
        await self.lock(session, {tenant_id: removal})
        ids = [event.event_id for event in events]
        bounds = (min(ids, key=_number), max(ids, key=_number))
        places = [event.index for event in events]
        (gone,) = await session.query(self._sql["delete_events"], tenant_id, ids, places, removal.before, *bounds)
        if gone[0] != len(events):
            raise StoreError(f"tenant {tenant_id}: an event that was about to go is gone; verify the store")
        await self.record(session, {tenant_id: [removal]})

    async def lock(self, session: Session, removals: Mapping[UUID, Removal]) -> None:
        """Lock the logs of tenants, and see that what is about to go may still go.

        Raises:
            TermsChanged: a tenant is held now, or its period is another one.
        """
        tenants = sorted(removals, key=_number)
        heads = await session.rows("lock_logs", tenants)
        days = await default_days(session)
        found = {head["tenant_id"].int: terms_of(head) for head in heads}
        for tenant_id, removal in removals.items():
            terms = found.get(tenant_id.int)
            if terms is None or terms.held or terms.period(days) != removal.days:
                raise TermsChanged("its period or its hold was changed meanwhile; purge again")

    async def record(self, session: Session, removals: Mapping[UUID, Sequence[Removal]]) -> None:
        """Append the records of removals, and note that what went is not to come back."""
        events = [
            purge_event(tenant_id, removal, self.by, self.now)
            for tenant_id, several in removals.items()
            for removal in several
        ]
        await self.write(session, events)
        tenants = sorted(removals, key=_number)
        befores = [max(removal.before for removal in removals[tenant_id]) for tenant_id in tenants]
        await session.query(self._sql["write_purged"], tenants, befores)

    async def change_terms(self, session: Session, change: TermsChange) -> None:
        """Set a tenant's field and append the event that tells of it."""
        tenant_id = change.event.tenant_id
        await session.rows("add_logs", [tenant_id])
        (head,) = await session.rows("lock_logs", [tenant_id])
        change.check(held=head["held"])
        await self.write(session, [change.event])
        await session.query(self._sql[_FIELDS[change.field]], tenant_id, change.value)

    async def remove_conflicts(
        self, session: Session, tenant_id: UUID, before: datetime, place: tuple[UUID, bytes]
    ) -> tuple[int, tuple[UUID, bytes] | None]:
        """Delete what is older among the next second contents behind a place; return how many, and where it ended.

        What cannot be read is left to `verify`.
        """
        (head,) = await session.rows("lock_logs", [tenant_id])
        rows = [] if head["held"] else await session.rows("read_conflicts", tenant_id, *place, _CONFLICTS_AT_ONCE)
        if not rows:
            return 0, None
        old = [row for row in rows if is_older(row["record"], before)]
        columns = [row["event_id"] for row in old], [row["content_hash"] for row in old]
        (gone,) = await session.query(self._sql["delete_conflicts"], tenant_id, *columns)
        return gone[0], (rows[-1]["event_id"], rows[-1]["content_hash"])

    def old_event(self, row: Mapping[str, Any], *, whole: bool) -> OldEvent:
        """Return a row as an event that may go.

        Raises:
            AlteredEvent: all of it is asked for, and it is not what its leaf was made of.
        """
        if whole and actual_leaf(row, self._key) != row["leaf_hash"]:
            raise AlteredEvent(f"event {row['event_id']} was altered, so it is not archived; verify the store")
        event = event_from_row(row) if whole else None
        return OldEvent(row["leaf_idx"], plain_uuid(row["event_id"]), row["occurred_at"], event)

    async def write(self, session: Session, events: Sequence[AuditEvent]) -> None:
        """Append events of the store's own, and keep their texts."""
        rows = [SealedRow(event, self._key) for event in events]
        tenants = frozenset(event.tenant_id for event in events)
        added = await append_rows(session, rows, tenants, self.now)
        ids = [row.event_id for row in rows]
        columns = [row.tenant_id for row in rows], ids, [row.evidence for row in rows]
        bounds = (min(ids, key=_number), max(ids, key=_number))
        kept = await session.query(self._sql["insert_records"], *columns, *bounds)
        if not added.stored == len(kept) == len(rows):
            raise StoreError("a record of retention was there already; try again")
