"""One SQLite connection on one thread of its own: sqlite3 blocks, and event loops must not."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from tenaudit.audit import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["SqliteWorker"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
# The start-up of a file: WAL so that readers never wait, FULL so that a commit survives power loss, and
# NORMAL's gain is not worth an audit event.
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA busy_timeout = 5000",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
)


class SqliteWorker:
    """Runs functions with its connection, one after another.

    Args:
        path: the database file.
        name: name of the thread.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(1, name)
        self._connection: sqlite3.Connection | None = None

    async def run(
        self, work: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Run `work(connection, ...)` on the worker's thread.

        Raises:
            StoreError: SQLite failed; the message names the file and what SQLite said.
        """

        def job() -> _T:
            try:
                return work(self._connect(), *args, **kwargs)
            except sqlite3.Error as error:
                raise StoreError(f"{self._path}: {error}") from error

        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, job)
        except RuntimeError as error:
            raise StoreError(f"{self._path}: the store is closed") from error
        return await future

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None)
            try:
                connection.row_factory = sqlite3.Row
                for pragma in _PRAGMAS:
                    connection.execute(pragma)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    async def close(self) -> None:
        """Close the connection and end the thread, after the work that is already queued."""

        def job() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, job)
        except RuntimeError:  # closed already
            return
        self._pool.shutdown(wait=False)
