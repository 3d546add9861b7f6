"""One SQLite connection on one thread of its own: sqlite3 blocks, and event loops must not."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from tenaudit.audit import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["SqliteWorker"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_BUSY_SECONDS = 5.0
_RETRY_SECONDS = 0.01
# The start-up of a file: WAL so that readers never wait, FULL so that a commit survives power loss, and
# NORMAL's gain is not worth an audit event.
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
)


class SqliteWorker:
    """Runs functions with its connection, one after another.

    A forked child gets a thread and a connection of its own at its first use: SQLite's may not cross a fork.

    Args:
        path: the database file.
        name: name of the thread.
        inspect: looks at a file before anything in it is changed, and raises when it is not the right one.
    """

    def __init__(self, path: Path, name: str, inspect: Callable[[sqlite3.Connection], None]) -> None:
        self._path = path
        self._name = name
        self._inspect = inspect
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._pool = ThreadPoolExecutor(1, self._name)
        self._connection: sqlite3.Connection | None = None

    async def run(
        self, work: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Run `work(connection, ...)` on the worker's thread.

        Raises:
            StoreError: SQLite failed; the message names the file and what SQLite said.
        """
        if self._closed:
            raise StoreError(f"{self._path}: the store is closed")
        if self._pid != os.getpid():
            # Kept and never closed: closing the parent's connection here could take the file from under it.
            self._parents = (self._pool, self._connection)
            self._begin()

        def job() -> _T:
            try:
                return work(self._connect(), *args, **kwargs)
            except sqlite3.Error as error:
                raise StoreError(f"{self._path}: {error}") from error

        return await asyncio.get_running_loop().run_in_executor(self._pool, job)

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            if not self._path.parent.is_dir():
                raise StoreError(f"{self._path}: its folder does not exist")
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=_BUSY_SECONDS)
            try:
                connection.row_factory = sqlite3.Row
                self._inspect(connection)
                _set_up(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    async def close(self) -> None:
        """Close the connection and end the thread, after the work that is already queued."""
        if self._closed:
            return
        self._closed = True

        def job() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

        try:
            if self._pid == os.getpid():
                await asyncio.get_running_loop().run_in_executor(self._pool, job)
        finally:
            self._pool.shutdown(wait=False)


def _set_up(connection: sqlite3.Connection) -> None:
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            for pragma in _PRAGMAS:
                # To its end, since a failure of the journal's own commit is told there and not before.
                connection.execute(pragma).fetchall()
        except sqlite3.OperationalError as error:
            # Going over to WAL does not wait for another process that is just doing the same.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return
