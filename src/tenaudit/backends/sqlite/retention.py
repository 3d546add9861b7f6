"""Purges, periods and holds of the file: each step one transaction of the writer."""

from __future__ import annotations

import fcntl
from abc import abstractmethod
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from tenaudit.audit import StoreError
from tenaudit.audit.event import wire_time
from tenaudit.audit.integrity.stored import parsed_json
from tenaudit.audit.retention.kept import KeepsForATime
from tenaudit.audit.retention.records import HOLD_PLACED
from tenaudit.audit.retention.steps import PurgeBusy
from tenaudit.backends.sqlite.expiry import settings_of
from tenaudit.backends.sqlite.purge_log import PurgeLog
from tenaudit.backends.sqlite.purge_steps import SqlitePurgeSteps

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from tenaudit.audit.retention.kept import TermsChange
    from tenaudit.audit.retention.steps import PurgeSteps
    from tenaudit.audit.retention.terms import RetentionSettings
    from tenaudit.backends.sqlite.log import LogFile
    from tenaudit.backends.sqlite.worker import SqliteWorker

__all__ = ["SqliteRetention"]


class SqliteRetention(KeepsForATime):
    """The part of the store that purging, periods and holds are about."""

    _path: Path
    _sql: dict[str, str]
    _writer: SqliteWorker
    _reader: SqliteWorker

    @abstractmethod
    async def _opened(self) -> LogFile:
        """Return the log, once the file is open."""

    async def retention(self) -> RetentionSettings:
        """Return the default period, and periods, holds and purges of each tenant that has a log."""
        await self._opened()
        return await self._reader.run(settings_of, self._sql)

    @asynccontextmanager
    async def _purge_steps(self, by: str, now: datetime, *, alone: bool) -> AsyncIterator[PurgeSteps]:
        log = PurgeLog(await self._opened(), by, now)
        steps = SqlitePurgeSteps(self._writer, self._reader, log)
        if not alone:
            yield steps
            return
        with _only_purge(self._path):
            yield steps

    async def _keep_default(self, days: int, by: str, now: datetime) -> None:
        await self._opened()
        values = {"days": days, "by": by, "at": wire_time(now)}
        await self._writer.run(lambda c: c.execute(self._sql["write_default_days"], values).rowcount)

    async def _change_terms(self, change: TermsChange) -> None:
        log = PurgeLog(await self._opened(), change.event.actor_id or "", change.event.occurred_at)
        await self._writer.run(log.change_terms, change)

    async def _hold_records(self) -> list[tuple[UUID, UUID, str]]:
        await self._opened()
        return await self._reader.run(_newest_holds, self._sql)


@contextmanager
def _only_purge(path: Path) -> Iterator[None]:
    """Keep every other purge of the file out: a lock of the system's, which a process that dies lets go of."""
    try:
        # Left behind: whoever removed it could remove the one that another process has just locked.
        file = path.with_name(f"{path.name}-purge").open("ab")
    except OSError as error:
        raise StoreError(f"{path}: a purge needs a file beside it: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PurgeBusy(f"{path}: another purge is running; wait until it has ended") from None
        yield


def _newest_holds(connection: sqlite3.Connection, statements: Mapping[str, str]) -> list[tuple[UUID, UUID, str]]:
    found = []
    for held in connection.execute(statements["held_tenants"]).fetchall():
        for row in connection.execute(statements["newest_records"], {"tenant_id": held["tenant_id"]}):
            if parsed_json(row["record"])["action"] == HOLD_PLACED:
                found.append((UUID(held["tenant_id"]), UUID(row["event_id"]), row["record"]))
                break
    return found
