"""Counting each producer's events inside the file, from one snapshot of it, for so long and no longer."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING

from tenaudit.audit import StoreError
from tenaudit.audit.closing import CLOSED
from tenaudit.audit.producer_rows import ProducerRows, StoreAccount

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from tenaudit.audit.producer_rows import AccountWindow

__all__ = ["AccountReader"]

# Instructions of SQLite's machine between two looks at the clock: some 10 microseconds.
_STEPS = 1000


class AccountReader:
    """Reads one account.

    Args:
        statements: the named statements.
        window: the events to look at.
        seconds: how long all of it may take once it has begun.
    """

    def __init__(self, statements: Mapping[str, str], window: AccountWindow, seconds: float) -> None:
        self._sql = statements
        self._window = window
        self._seconds = seconds
        self._until = float("inf")
        self._given_up = threading.Event()

    def give_up(self) -> None:
        """End a reading that nobody waits for; from whatever thread."""
        self._given_up.set()

    def read(self, connection: sqlite3.Connection, held: Mapping[UUID, Sequence[UUID]]) -> StoreAccount:
        """Return the account.

        Raises:
            StoreError: it took too long, or there are too many producers.
        """
        self._until = time.monotonic() + self._seconds
        connection.set_progress_handler(self._is_over, _STEPS)
        try:
            connection.execute("BEGIN DEFERRED")
            try:
                return self._read(connection, held)
            finally:
                connection.rollback()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            raise self._too_long() from None
        finally:
            connection.set_progress_handler(None, 0)

    def _read(self, connection: sqlite3.Connection, held: Mapping[UUID, Sequence[UUID]]) -> StoreAccount:
        rows = ProducerRows()
        tenants = [row["tenant_id"] for row in connection.execute(self._sql["logged_tenants"])]
        for tenant_id in tenants:
            about = {"tenant_id": tenant_id, "first": str(self._window.first), "last": str(self._window.last)}
            for row in connection.execute(self._sql["count_producers"], about):
                rows.add(*row)
            for row in connection.execute(self._sql["closing_records"], {**about, "action": CLOSED}):
                rows.close(*row)
        return StoreAccount(rows.finish(), frozenset(self._also_stored(connection, held)))

    def _also_stored(
        self, connection: sqlite3.Connection, held: Mapping[UUID, Sequence[UUID]]
    ) -> Iterator[tuple[UUID, UUID]]:
        for tenant_id, event_ids in held.items():
            for event_id in event_ids:
                # Statements this short are over before SQLite looks at the clock.
                if self._is_over():
                    raise self._too_long()
                which = {"tenant_id": str(tenant_id), "event_id": str(event_id)}
                if connection.execute(self._sql["has_event"], which).fetchone()[0]:
                    yield tenant_id, event_id

    def _is_over(self) -> bool:
        return self._given_up.is_set() or time.monotonic() >= self._until

    def _too_long(self) -> StoreError:
        return StoreError(f"the account took over {self._seconds:g} s; narrow its time")
