"""Events that a purge took and that come again: told apart before they are stored a second time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from tenaudit.audit.event import wire_time
from tenaudit.audit.integrity import leaf_hash
from tenaudit.audit.retention.steps import DamagedLog
from tenaudit.audit.retention.terms import RetentionSettings, TenantTerms
from tenaudit.backends.sqlite.rows import uuid_or_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from tenaudit.backends.sqlite.rows import SealedRow

__all__ = ["ExpiryGate", "default_days", "settings_of", "terms_of"]


def terms_of(row: Mapping[str, Any]) -> TenantTerms:
    """Return what the row of a log says of its tenant's retention.

    Raises:
        StoreError: it was tampered with.
    """
    purged = row["purged_before"]
    try:
        before = None if purged is None else datetime.fromisoformat(purged)
    except ValueError:
        raise DamagedLog(row["tenant_id"]) from None
    return TenantTerms(UUID(row["tenant_id"]), row["retention_days"], bool(row["held"]), before)


def default_days(connection: sqlite3.Connection, statements: Mapping[str, str]) -> int:
    """Return the period of tenants that have none of their own."""
    return int(connection.execute(statements["read_default_days"]).fetchone()["days"])


def settings_of(connection: sqlite3.Connection, statements: Mapping[str, str]) -> RetentionSettings:
    """Return the default period and the terms of every tenant; one whose id was tampered with is left to `verify`."""
    rows = connection.execute(statements["all_terms"]).fetchall()
    known = [row for row in rows if not isinstance(uuid_or_text(row["tenant_id"]), str)]
    return RetentionSettings(default_days(connection, statements), tuple(terms_of(row) for row in known))


class ExpiryGate:
    """Judges the rows of one batch, within its transaction.

    Args:
        connection: where the transaction is.
        statements: the named statements.
        now: the time that periods are counted back from.
    """

    def __init__(self, connection: sqlite3.Connection, statements: Mapping[str, str], now: datetime) -> None:
        self._connection = connection
        self._sql = statements
        self._now = now
        self._terms: dict[str, TenantTerms | None] = {}
        self._purged: dict[str, str] = {}

    def judge(self, row: SealedRow) -> Literal["expired", "duplicates"] | None:
        """Return what a row is that no purge lets in again; None for every other, new or not."""
        fields = row.parameters
        tenant = fields["tenant_id"]
        if tenant not in self._terms:
            self._read(tenant)
        terms = self._terms[tenant]
        # Of most tenants nothing was ever purged.
        if terms is None:
            return None
        if self._connection.execute(self._sql["met_row"], fields).fetchone() is not None:
            return None
        # Text order is time order. What is younger may still have the id of an event that went.
        if fields["occurred_at"] < self._purged[tenant]:
            days = default_days(self._connection, self._sql)
            if terms.expires(datetime.fromisoformat(fields["occurred_at"]), days, self._now):
                return "expired"
        known = self._connection.execute(self._sql["known_leaf"], fields).fetchone()
        if known is None:
            return None
        if known["leaf_hash"] == leaf_hash(row.evidence.encode()):
            return "duplicates"
        # Salts may have gone with the event, so nothing tells whether this one is it: nothing of it is kept, for it may
        # be what was erased before.
        return "expired"

    def _read(self, tenant: str) -> None:
        row = self._connection.execute(self._sql["read_terms"], {"tenant_id": tenant}).fetchone()
        if row is None or row["purged_before"] is None:
            self._terms[tenant] = None
            return
        terms = terms_of(row)
        assert terms.purged_before is not None
        self._terms[tenant] = terms
        self._purged[tenant] = wire_time(terms.purged_before)
