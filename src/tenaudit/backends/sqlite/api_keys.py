"""API keys in a SQLite file of their own: a writer thread, and a reader thread that never waits for it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID

from tenaudit._kernel.bounds import INT32_SECONDS, check_seconds
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit import StoreError
from tenaudit.backends.sqlite.worker import SqliteWorker
from tenaudit.security import ApiKeyPage, ApiKeyRecord, ApiKeyStoreError
from tenaudit.security.api_key_record import no_such_key, prefix_taken
from tenaudit.security.api_key_secret import is_prefix
from tenaudit.security.api_key_store import check_page

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Generator, Iterator
    from types import TracebackType

    from tenaudit.security import ApiKeyRotation

__all__ = ["SqliteApiKeyStore"]

_T = TypeVar("_T")
_VERSION = 1
_APPLICATION_ID = 0x7E4A0D18


class SqliteApiKeyStore:
    """Keeps the records of API keys in one SQLite file, which may not be the one of an audit store.

    Made by `open`; awaiting it, or entering it, opens the file at once, and the first use does so otherwise. A file
    that is made can be read and written by its owner alone. A change that is given up because of its deadline
    while it waits for the file is not made later.

    Args:
        path: the file.
        deadline: seconds that any call may take, also when another process has locked the file.

    Raises:
        ConfigurationError: *deadline* is not more than 0, or not finite.

    Example:
        >>> import tempfile
        >>> from tenaudit.security import new_api_key
        >>> async def main():
        ...     key, record = new_api_key(UUID(int=1), ["Cashier"])
        ...     with tempfile.TemporaryDirectory() as folder:
        ...         async with SqliteApiKeyStore.open(f"{folder}/keys.db") as store:
        ...             await store.put(record)
        ...             return await store.get(record.prefix) == record
        >>> asyncio.run(main())
        True
    """

    def __init__(self, path: str | os.PathLike[str], *, deadline: float = 5.0) -> None:
        check_seconds(most=INT32_SECONDS, deadline=deadline)
        self._path = Path(path)
        self._deadline = deadline
        self._sql = load_statements("tenaudit.backends.sqlite", "api_keys.sql")
        self._writer = SqliteWorker(self._path, "tenaudit-api-keys-writer", self._inspect)
        self._reader = SqliteWorker(self._path, "tenaudit-api-keys-reader", self._inspect)
        self._is_made = False

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, deadline: float = 5.0) -> Self:
        """Return the store of a file, which is made when it is not there.

        Raises (once it is awaited, entered or first used):
            ApiKeyStoreError: the file cannot be opened, is no store of API keys, or was made by a newer version.
        """
        return cls(path, deadline=deadline)

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        try:
            await self._run(self._writer, lambda _: None)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def get(self, prefix: str) -> ApiKeyRecord | None:
        """Return the record of a prefix, or None.

        Raises:
            ApiKeyStoreError: the file cannot be used now, or the row was tampered with.
        """
        return await self._run(self._reader, lambda connection: self._find(connection, prefix))

    async def put(self, record: ApiKeyRecord) -> None:
        """Add a record, or update the one of the same key; what ended the key is not undone.

        Raises:
            ApiKeyChangeError: another key has the prefix; nothing was changed.
            ApiKeyStoreError: the file cannot be used now.
        """

        def work(connection: sqlite3.Connection) -> None:
            self._write(connection, self._claim(connection, record).updated(record))

        await self._change(work)

    async def list(self, tenant_id: UUID | None = None, *, limit: int = 100, after: str | None = None) -> ApiKeyPage:
        """Return at most *limit* records, 1 to 1000, whose prefixes come behind *after*; of one tenant or of all.

        Raises:
            ConfigurationError: *limit* is out of range, or *after* is no prefix.
            ApiKeyStoreError: the file cannot be used now.
        """
        check_page(limit, after)
        wanted = {"tenant_id": tenant_id and str(tenant_id), "after": after or "", "limit": limit + 1}

        def work(connection: sqlite3.Connection) -> ApiKeyPage:
            rows = connection.execute(self._sql["list_keys"], wanted).fetchall()
            return ApiKeyPage.cut(map(self._record, rows), limit)

        return await self._run(self._reader, work)

    async def revoke(self, prefix: str, at: float) -> bool:
        """Revoke a key as of *at*, in Unix seconds; False when there is none of that prefix.

        Raises:
            ApiKeyStoreError: the file cannot be used now.
        """

        def work(connection: sqlite3.Connection) -> bool:
            record = self._find(connection, prefix)
            if record is not None:
                self._write(connection, record.revoked_since(at))
            return record is not None

        return await self._change(work)

    async def rotate(self, prefix: str, rotation: ApiKeyRotation) -> ApiKeyRecord:
        """Add the successor of a key and give the old one its end, in one transaction; return the successor.

        Raises:
            ApiKeyChangeError: there is no such key, it has ended, or it was rotated before; nothing was changed.
            ApiKeyStoreError: the file cannot be used now.
        """

        def work(connection: sqlite3.Connection) -> ApiKeyRecord:
            old = self._find(connection, prefix)
            if old is None:
                raise no_such_key(prefix)
            ended, fresh = rotation.apply(old)
            if self._claim(connection, fresh) != fresh:
                raise prefix_taken(fresh.prefix)
            self._write(connection, ended)
            return fresh

        return await self._change(work)

    async def close(self) -> None:
        """Close the file after the work that is already queued; a second call does nothing."""
        await self._reader.close()
        await self._writer.close()

    async def _change(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        until = time.monotonic() + self._deadline

        def in_transaction(connection: sqlite3.Connection) -> _T:
            with _transaction(connection):
                done = work(connection)
                # The wait for the lock may have outlasted the caller's, who was told that it was given up.
                if time.monotonic() >= until:
                    raise self._too_late()
                return done

        return await self._run(self._writer, in_transaction)

    async def _run(self, worker: SqliteWorker, work: Callable[[sqlite3.Connection], _T]) -> _T:
        until = time.monotonic() + self._deadline

        def job(connection: sqlite3.Connection) -> _T:
            # With no time left it still tries once: what cannot be done at once is then not done at all.
            remaining = max(0, until - time.monotonic())
            connection.execute(f"PRAGMA busy_timeout = {int(remaining * 1000)}")
            return work(connection)

        try:
            async with asyncio.timeout(self._deadline):
                if not self._is_made:
                    await asyncio.to_thread(self._make_file)
                    await self._writer.run(self._prepare)
                    self._is_made = True
                return await worker.run(job)
        except TimeoutError:
            raise self._too_late() from None
        except StoreError as error:
            raise ApiKeyStoreError(str(error)) from error

    def _too_late(self) -> ApiKeyStoreError:
        return ApiKeyStoreError(f"{self._path}: no answer within {self._deadline:g} s; is it locked?")

    def _make_file(self) -> None:
        """Make the file before SQLite does, which would let everybody read it; its side files take over the mode."""
        try:
            # A folder that is missing is the worker's to tell.
            if not self._path.exists() and self._path.parent.is_dir():
                os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "is no path of a file"
            raise ApiKeyStoreError(f"{self._path}: {why}") from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the schema in a new file, all or nothing; a file that has it is not locked for that."""
        if self._is_ready(connection):
            return
        with _transaction(connection):
            self._inspect(connection)
            connection.execute(self._sql["create_table"])
            connection.execute(self._sql["create_index"])
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")

    def _inspect(self, connection: sqlite3.Connection) -> None:
        """Refuse a file that is another application's or another version's, before anything in it is touched."""
        tables = connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]
        if tables and not self._is_ready(connection):
            raise ApiKeyStoreError(f"{self._path}: is a database, but no store of API keys; name another file")

    def _is_ready(self, connection: sqlite3.Connection) -> bool:
        if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
            return False
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found != _VERSION:
            raise ApiKeyStoreError(f"{self._path}: has schema {found}, this version reads {_VERSION}; upgrade tenaudit")
        return True

    def _find(self, connection: sqlite3.Connection, prefix: str) -> ApiKeyRecord | None:
        if not is_prefix(prefix):
            return None
        row = connection.execute(self._sql["get_key"], {"prefix": prefix}).fetchone()
        return None if row is None else self._record(row)

    def _claim(self, connection: sqlite3.Connection, record: ApiKeyRecord) -> ApiKeyRecord:
        (row,) = connection.execute(self._sql["claim_key"], _parameters(record)).fetchall()
        return self._record(row)

    def _write(self, connection: sqlite3.Connection, record: ApiKeyRecord) -> None:
        connection.execute(self._sql["write_key"], _parameters(record))

    def _record(self, row: sqlite3.Row) -> ApiKeyRecord:
        values = dict(row)
        try:
            listed, tenant_id = json.loads(values["roles"]), UUID(values["tenant_id"])
            # A text or an object can be iterated too, and its parts would pass for roles.
            roles = frozenset(listed) if isinstance(listed, list) else listed
            return ApiKeyRecord(**values | {"roles": roles, "tenant_id": tenant_id, "revoked": bool(values["revoked"])})
        except (ConfigurationError, TypeError, ValueError, RecursionError) as error:
            raise ApiKeyStoreError(f"{self._path}: a row was altered: {error}") from None


def _parameters(record: ApiKeyRecord) -> dict[str, Any]:
    return {
        "prefix": record.prefix,
        "secret_hash": record.secret_hash,
        "tenant_id": str(record.tenant_id),
        "roles": json.dumps(sorted(record.roles)),
        "expires_at": record.expires_at,
        "revoked": int(record.revoked),
        "created_at": record.created_at,
        "revoked_at": record.revoked_at,
        "name": record.name,
        "description": record.description,
        "rotated_from": record.rotated_from,
        "replaced_by": record.replaced_by,
    }


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A commit that fails, as on a full disk, leaves its transaction open.
        connection.rollback()
        raise
