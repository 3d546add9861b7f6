"""The spool as the producer sees it: a thread of its own, and one commit for everything that waits at once."""

from __future__ import annotations

import asyncio
import ctypes
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import TenauditError
from tenaudit._kernel.fork import restart_in_child
from tenaudit.audit import SpoolBatch, SpoolError, SpoolFull, SpoolStats
from tenaudit.backends.spool.limits import SpoolLimits
from tenaudit.backends.spool.log import SpoolLog, Standing, Token
from tenaudit.backends.spool.record import Record, encoded

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterator, Sequence
    from types import TracebackType

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit import AuditEvent

__all__ = ["DiskSpool"]

_T = TypeVar("_T")
_MOST_RECORDS = 4096
_MOST_BYTES = 4 * 2**20
_EMPTY = Standing(0, 0, None, 0, 0)


class _Waiting(NamedTuple):
    """One call of append whose events are not on disk yet."""

    events: Sequence[AuditEvent]
    done: Future[None]


class DiskSpool:
    """Keeps events in SQLite files of one folder until they are acknowledged.

    What `append` returned for is on disk (WAL, synchronous=FULL) and survives `kill -9` and power loss. A damaged
    file never keeps it from starting: what can be read is given back, what cannot is counted in `stats().lost`.
    The folder belongs to one spool at a time; a forked child has to open another one.

    Args:
        folder: where the files are; made when it is not there, for this user only.
        max_bytes: size of all files together.
        segment_bytes: contents of one file; files are removed whole, so space comes back in steps of this.
        reserve_bytes: what must stay free on the disk: the spool takes nothing more once less is left.
        clock: tells how old the oldest event is.

    Raises:
        ConfigurationError: a bound that cannot be.

    Example:
        >>> import tempfile
        >>> async def main(folder):
        ...     async with DiskSpool(folder) as spool:
        ...         await spool.append([])
        ...         return (await spool.read(10)).events, spool.stats().records
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        ((), 0)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        max_bytes: int = 256 * 2**20,
        segment_bytes: int = 16 * 2**20,
        reserve_bytes: int = 64 * 2**20,
        clock: Clock | None = None,
    ) -> None:
        self._folder = Path(folder)
        self._limits = SpoolLimits(max_bytes, segment_bytes, reserve_bytes)
        self._clock = clock or SystemClock()
        self._closed = False
        self._begin()
        restart_in_child(self)

    def _begin(self) -> None:
        self._pool = ThreadPoolExecutor(1, "tenaudit-spool")
        self._log: SpoolLog | None = None
        self._standing = _EMPTY
        self._waiting: deque[_Waiting] = deque()

    @classmethod
    def open(cls, folder: str | os.PathLike[str], **options: Any) -> Self:
        """Return the spool of a folder; the arguments are those of the class.

        Raises (once it is awaited, entered or first used):
            ConfigurationError: the folder is in use, or a newer version filled it.
            SpoolError: the folder cannot be used.
        """
        return cls(folder, **options)

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        try:
            await self._run(self._opened)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def after_fork(self) -> None:
        """Leave everything to the parent; called in a forked child, which may open a folder of its own."""
        log = self._log
        if log is not None:
            for connection in log.connections():
                # For ever: closing it here, at the child's exit at the latest, would have SQLite empty and remove the
                # log that the parent still writes to, since it believes that it holds the lock.
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
            log.abandon()
        self._begin()

    async def append(self, events: Sequence[AuditEvent]) -> None:
        """Write *events* and return once they are on disk: all, or none that counts.

        Calls that come while the disk is busy share the next commit. A cancelled call may have written its events.

        Raises:
            SpoolFull: they do not fit the bounds, or the disk is full.
            SpoolError: the disk fails, or the spool is closed.
            SinkRejected: events that are no JSON.
        """
        if not events:
            return
        self._require_open()
        done: Future[None] = Future()
        self._waiting.append(_Waiting(events, done))
        await self._run(self._commit)
        if done.done():
            done.result()
        else:
            # Another thread's events came in between and filled the commit.
            await asyncio.wrap_future(done)

    async def read(self, limit: int) -> SpoolBatch:
        """Return the oldest events that are not acknowledged, at most *limit*; the same ones until they are.

        It is empty only when there are none. A batch may be smaller than *limit* though more follow.

        Raises:
            SpoolError: they cannot be read now, or the spool is closed.
            ValueError: *limit* is below 1.
        """
        if limit < 1:
            raise ValueError("limit must be at least 1")
        return await self._run(lambda: self._opened().read(limit))

    async def ack(self, token: object) -> None:
        """Remove the events of a batch; it needs no space, and doing it twice is the same as once.

        Raises:
            SpoolError: that cannot be written now, and the batch will come again; or the spool is closed.
            TypeError: the token is no spool's.
        """
        if not isinstance(token, Token):
            raise TypeError("ack takes the token of a batch that read returned")
        await self._run(lambda: self._opened().ack(token))

    def stats(self) -> SpoolStats:
        """Return what it holds as of its last change, from whatever thread."""
        records, size, oldest_ms, lost, quarantined = self._standing
        age = 0.0 if oldest_ms is None else max(0.0, self._clock.time_ns() / 1e9 - oldest_ms / 1e3)
        return SpoolStats(records, size, age, lost, quarantined)

    async def close(self) -> None:
        """Close the files and give the folder up, after the work that is already queued."""
        if self._closed:
            return
        self._closed = True

        def job() -> None:
            if self._log is not None:
                self._log.close()
                self._log = None

        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, job)
        finally:
            self._pool.shutdown(wait=False)

    def _require_open(self) -> None:
        if self._closed:
            raise SpoolError(f"{self._folder}: the spool is closed")

    async def _run(self, work: Callable[[], _T]) -> _T:
        self._require_open()

        def job() -> _T:
            try:
                return work()
            except OSError as error:
                raise SpoolError(f"{self._folder}: {error.strerror or error}") from error
            finally:
                if self._log is not None:
                    self._standing = self._log.standing

        return await asyncio.get_running_loop().run_in_executor(self._pool, job)

    def _opened(self) -> SpoolLog:
        if self._log is None:
            self._log = SpoolLog(self._folder, self._limits)
        return self._log

    def _commit(self) -> None:
        """Write what waits, in one commit; the jobs of those whose events another one took find nothing to do."""
        records: list[Record] = []
        taken: list[Future[None]] = []
        size = 0
        while self._waiting and len(records) < _MOST_RECORDS and size < _MOST_BYTES:
            events, done = self._waiting.popleft()
            if not done.set_running_or_notify_cancel():
                continue
            with _answering([done], only_failure=True):
                new = encoded(events)
                new_size = size + sum([len(body) for _, body in new])
                if not self._opened().fits(len(records) + len(new), new_size):
                    raise SpoolFull(f"{self._folder}: the spool is full, or too little is left on its disk")
                records += new
                size = new_size
                taken.append(done)
        if taken:
            with _answering(taken):
                self._opened().append(records)


@contextmanager
def _answering(waiting: Sequence[Future[None]], *, only_failure: bool = False) -> Iterator[None]:
    """Tell those who wait what became of the block: nobody may be left without an answer."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        known = error if isinstance(error, TenauditError) else SpoolError(f"{type(error).__name__}: {error}")
        for done in waiting:
            done.set_exception(known)
    else:
        for done in () if only_failure else waiting:
            done.set_result(None)
