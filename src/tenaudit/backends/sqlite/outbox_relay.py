"""The outbox in SQLite as the relay reads it: one relay at a time, by a lease that its epoch fences."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tenaudit._kernel.bounds import INT32_SECONDS, check_seconds
from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit.outbox import Backlog, Lease, LeaseLost, OutboxError, OutboxUnavailable, TakenEntry
from tenaudit.audit.outbox.entry import event_of_text
from tenaudit.backends.sqlite.outbox import create_outbox

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tenaudit._kernel.clock import Clock

__all__ = ["SqliteOutboxSource"]

_T = TypeVar("_T")
_SQL = load_statements("tenaudit.backends.sqlite", "outbox.sql")
_COUNTED = 100_000
_MAX_REASON = 200


class SqliteOutboxSource:
    """Reads the outbox of an application's file with a connection and a thread of its own.

    The file stays as the application has it: no journal mode is changed.

    Args:
        path: the application's database.
        lease: seconds that a claim holds; the next relay waits so long for what a killed one held.
        deadline: seconds to wait while others write.
        create: make the file and the tables when they are not there.
        clock: time source of the lease; relays of one file share the machine's.

    Raises:
        ConfigurationError: *lease* or *deadline* is not above 0, or not finite.

    Example:
        >>> import tempfile
        >>> async def main():
        ...     with tempfile.TemporaryDirectory() as folder:
        ...         source = SqliteOutboxSource(f"{folder}/app.db", create=True)
        ...         waiting = await source.backlog()
        ...         await source.close()
        ...         return waiting
        >>> asyncio.run(main())
        Backlog(entries=0, oldest_age=0.0)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        lease: float = 30.0,
        deadline: float = 5.0,
        create: bool = False,
        clock: Clock | None = None,
    ) -> None:
        check_seconds(most=INT32_SECONDS, lease=lease, deadline=deadline)
        self._path = Path(path)
        self._lease = lease
        self._deadline = deadline
        self._create = create
        self._clock = clock or SystemClock()
        self._thread = ThreadPoolExecutor(1, "tenaudit-outbox")
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    @property
    def lease_seconds(self) -> float:
        """How long a claim holds without being renewed."""
        return self._lease

    async def claim(self) -> Lease | None:
        """Hold the outbox when it has entries and nobody holds it; else None.

        Raises:
            OutboxUnavailable: SQLite failed, or others wrote for longer than the deadline.
        """

        def work(connection: sqlite3.Connection) -> Lease | None:
            if not connection.execute(_SQL["has_entries"]).fetchone()[0]:
                return None
            with _transaction(connection):
                row = connection.execute(_SQL["claim_shard"], self._times()).fetchone()
            return None if row is None else Lease(0, row[0])

        return await self._run(work)

    async def read(self, lease: Lease, limit: int, max_bytes: int) -> Sequence[TakenEntry]:
        """Return the oldest entries in order, at least one if there is any; none when the lease is lost.

        Raises:
            OutboxUnavailable: as `claim`.
        """

        def work(connection: sqlite3.Connection) -> list[TakenEntry]:
            rows = connection.execute(_SQL["read_entries"], {"epoch": lease.epoch, "limit": limit})
            taken: list[TakenEntry] = []
            size = 0
            for position, text in rows:
                if taken and size >= max_bytes:
                    break
                taken.append(TakenEntry(position, event_of_text(text)))
                size += len(text)
            rows.close()
            return taken

        return await self._run(work)

    async def settle(self, lease: Lease, delivered: Sequence[int], dead: Mapping[int, str]) -> None:
        """Delete what the sink has, move *dead* aside with its reasons and renew the lease, in one transaction.

        Raises:
            LeaseLost: another relay has the outbox; nothing was changed.
            OutboxUnavailable: as `claim`; nothing was changed.
        """

        def work(connection: sqlite3.Connection) -> None:
            times = self._times()
            buried = [{"id": one, "reason": _storable(reason), **times} for one, reason in dead.items()]
            gone = [{"id": one} for one in (*delivered, *dead)]
            with _transaction(connection):
                renewed = connection.execute(_SQL["renew_lease"], {"epoch": lease.epoch, **times})
                if not renewed.rowcount:
                    raise LeaseLost
                connection.executemany(_SQL["bury_entry"], buried)
                connection.executemany(_SQL["delete_entry"], gone)

        await self._run(work)

    async def release(self, lease: Lease) -> None:
        """Let others have the outbox at once; nothing happens when the lease is lost.

        Raises:
            OutboxUnavailable: as `claim`.
        """
        await self._run(lambda connection: connection.execute(_SQL["release_lease"], {"epoch": lease.epoch}))

    async def backlog(self) -> Backlog:
        """Count what waits, up to 100 000, and how long the oldest has.

        Raises:
            OutboxUnavailable: as `claim`.
        """

        def work(connection: sqlite3.Connection) -> Backlog:
            entries, oldest = connection.execute(_SQL["see_backlog"], {"bound": _COUNTED}).fetchone()
            return Backlog(entries, 0.0 if oldest is None else max(0.0, self._times()["now"] - oldest))

        return await self._run(work)

    async def close(self) -> None:
        """Close the connection and end the thread, after the work that is already queued; twice is once."""
        if self._closed:
            return
        self._closed = True

        def job() -> None:
            if self._connection is not None:
                self._connection.close()

        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, job)
        finally:
            self._thread.shutdown(wait=False)

    def _times(self) -> dict[str, float]:
        now = self._clock.time_ns() / 1e9
        return {"now": now, "until": now + self._lease}

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._closed:
            raise OutboxUnavailable(f"{self._path}: the outbox is closed")

        def job() -> _T:
            try:
                return work(self._opened())
            except (sqlite3.Error, OutboxError) as error:
                missing = str(error).startswith("no such table")
                said = (
                    "it has no tables of the outbox; make them with create_outbox or tenaudit relay --create"
                    if missing
                    else error
                )
                raise OutboxUnavailable(f"{self._path}: {said}") from None

        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            mode = "rwc" if self._create else "rw"
            where = f"{self._path.absolute().as_uri()}?mode={mode}"
            connection = sqlite3.connect(where, uri=True, isolation_level=None, timeout=self._deadline)
            # Bytes that are no UTF-8 are no event, and no reason to fail on every read.
            connection.text_factory = bytes
            try:
                if self._create:
                    with _transaction(connection):
                        create_outbox(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        # In here: a commit that fails, as on a full disk, leaves its transaction open.
        connection.execute("COMMIT")
    except BaseException:
        # After some failures SQLite has rolled it back by itself.
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _storable(reason: str) -> str:
    """Return a third party's word as text that SQLite has: one that it refused would hold up the outbox for ever."""
    return reason[:_MAX_REASON].encode("utf-8", "replace").decode()
