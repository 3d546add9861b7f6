"""Removing events and writing the records of it: each call is one transaction of the writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.audit import StoreError
from tenaudit.audit.event import wire_time
from tenaudit.audit.integrity import canonical_json
from tenaudit.audit.retention.records import is_older, purge_event
from tenaudit.audit.retention.steps import TermsChanged
from tenaudit.backends.sqlite.expiry import default_days, terms_of
from tenaudit.backends.sqlite.transaction import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from tenaudit.audit import AuditEvent
    from tenaudit.audit.retention.kept import TermsChange
    from tenaudit.audit.retention.records import Removal
    from tenaudit.audit.retention.steps import OldEvent
    from tenaudit.audit.retention.terms import TenantTerms
    from tenaudit.backends.sqlite.log import LogFile

__all__ = ["PurgeLog"]

_FIELDS = {"retention_days": "write_retention_days", "held": "write_held"}


class PurgeLog:
    """What retention does with the log of a file; every method takes the connection it works on.

    Args:
        log: appends to the log.
        by: who asks for it.
        now: when.
    """

    def __init__(self, log: LogFile, by: str, now: datetime) -> None:
        self._log = log
        self.statements = self._sql = log.statements
        self.by = by
        self.now = now

    def remove(
        self, connection: sqlite3.Connection, tenant_id: UUID, events: Sequence[OldEvent], removal: Removal
    ) -> None:
        """Delete events and append the record of it.

        Raises:
            TermsChanged: the tenant is held now, or its period is another one.
            StoreError: an event went meanwhile.
        """
        whose = {"tenant_id": str(tenant_id), "before": wire_time(removal.before)}
        with transaction(connection, "IMMEDIATE"):
            terms = self.terms(connection, tenant_id)
            if terms is None or terms.held or terms.period(default_days(connection, self._sql)) != removal.days:
                raise TermsChanged("its period or its hold was changed meanwhile; purge again")
            gone = connection.executemany(
                self._sql["delete_event"], [{**whose, "event_id": str(event.event_id)} for event in events]
            ).rowcount
            if gone != len(events):
                raise StoreError(f"tenant {tenant_id}: an event that was about to go is gone; verify the store")
            self.write(connection, purge_event(tenant_id, removal, self.by, self.now))
            connection.execute(self._sql["write_purged"], whose)

    def remove_conflicts(self, connection: sqlite3.Connection, tenant_id: UUID, before: datetime) -> int:
        """Delete kept second contents that occurred before a time; what cannot be read is left to `verify`."""
        gone = 0
        with transaction(connection, "IMMEDIATE"):
            terms = self.terms(connection, tenant_id)
            if terms is None or terms.held:
                return 0
            rows = connection.execute(self._sql["read_conflicts"], {"tenant_id": str(tenant_id)}).fetchall()
            for row in rows:
                if is_older(row["record"], before):
                    gone += connection.execute(
                        self._sql["delete_conflict"], {"tenant_id": str(tenant_id), **dict(row)}
                    ).rowcount
        return gone

    def change_terms(self, connection: sqlite3.Connection, change: TermsChange) -> None:
        """Set a tenant's field and append the event that tells of it."""
        tenant_id = change.event.tenant_id
        with transaction(connection, "IMMEDIATE"):
            terms = self.terms(connection, tenant_id)
            change.check(held=terms is not None and terms.held)
            self.write(connection, change.event)
            connection.execute(self._sql[_FIELDS[change.field]], {"tenant_id": str(tenant_id), "value": change.value})

    def fits(self, row: sqlite3.Row) -> bool:
        """Tell whether an event is the one that its leaf was made of."""
        return bool(self._log.leaf_of(row) == row["leaf_hash"])

    def terms(self, connection: sqlite3.Connection, tenant_id: UUID) -> TenantTerms | None:
        """Return what holds for a tenant, None before its first event."""
        row = connection.execute(self._sql["read_terms"], {"tenant_id": str(tenant_id)}).fetchone()
        return None if row is None else terms_of(row)

    def write(self, connection: sqlite3.Connection, event: AuditEvent) -> None:
        """Append an event of the store's own, and keep its text."""
        row = self._log.sealed_row(event)
        index = self._log.take(connection, row)
        record = {**row.parameters, "idx": index, "record": canonical_json(event.record()).decode()}
        connection.execute(self._sql["insert_record"], record)
