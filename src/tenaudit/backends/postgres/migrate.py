"""Migrations: numbered SQL files, applied in order, all or none, by one at a time."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit import StoreError
from tenaudit.backends.postgres.pool import PostgresPool

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tenaudit.backends.postgres.pool import Session

__all__ = ["Migration", "MigrationError", "MigrationState", "known_migrations", "latest_version", "migrate", "status"]

_PACKAGE = "tenaudit.backends.postgres"
_NAME = re.compile(r"(\d{4})_([a-z_]+)\.sql")
_LOCK = 0x7E4A0D1A


class MigrationError(StoreError):
    """The database cannot be migrated by this version of tenaudit."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema.

    Args:
        version: its number, from 1 without gaps.
        name: its name in the list.
        sql: its statements.
    """

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> bytes:
        """SHA-256 of the statements: what was applied may not change afterwards."""
        return hashlib.sha256(self.sql.encode()).digest()


@dataclass(frozen=True, slots=True)
class MigrationState:
    """What became of a migration in a database.

    Args:
        version: its number.
        name: its name.
        state: `applied`, `pending`, `changed` (applied with other statements) or `unknown` (of a newer tenaudit).
        applied_at: when, None while it is pending.
    """

    version: int
    name: str
    state: Literal["applied", "pending", "changed", "unknown"]
    applied_at: datetime | None = None


@cache
def known_migrations() -> tuple[Migration, ...]:
    """Return the migrations of this version of tenaudit, in order.

    >>> [migration.name for migration in known_migrations()]
    ['events', 'partitions', 'known_tenants', 'dead_letters', 'retention', 'commitments', 'subtrees']
    """
    found = [
        Migration(int(name[1]), name[2], file.read_text(encoding="utf-8"))
        for file in files(_PACKAGE).joinpath("migrations").iterdir()
        if (name := _NAME.fullmatch(file.name)) is not None
    ]
    return tuple(sorted(found, key=lambda migration: migration.version))


def latest_version() -> int:
    """Return the version that this tenaudit needs."""
    return known_migrations()[-1].version


async def status(dsn: str, *, deadline: float = 5.0) -> tuple[MigrationState, ...]:
    """Return the state of every migration that the database or this tenaudit knows, in order.

    Args:
        dsn: `postgresql://user:password@host:port/database`; it never stands in a message.
        deadline: seconds that it may take.

    Raises:
        ConfigurationError: *dsn* is no URL of PostgreSQL.
        StoreError: there is no such server or database, or the user may not read the list.
    """
    pool = PostgresPool(dsn, max_connections=1, deadline=deadline)
    try:
        async with pool.transaction(mode="READ ONLY") as session:
            return await _states(session)
    finally:
        await pool.close()


async def migrate(dsn: str, *, to: int | None = None, deadline: float = 60.0) -> tuple[MigrationState, ...]:
    """Apply what is pending, in one transaction, and return the states that the database has then.

    Running it again changes nothing, and of several that run at once one applies and the others wait for it. The
    user needs CREATE on the database and either CREATEROLE or to be a superuser.

    Args:
        dsn: `postgresql://user:password@host:port/database`; it never stands in a message.
        to: the last version to apply, the newest when None.
        deadline: seconds that all of it may take, the wait for another migration included.

    Raises:
        ConfigurationError: *dsn* is no URL of PostgreSQL.
        MigrationError: the database is of a newer tenaudit, or what was applied is not what this one has.
        StoreError: PostgreSQL failed; nothing was changed.
    """
    sql = load_statements(_PACKAGE, "sql/migrate.sql")
    pool = PostgresPool(dsn, max_connections=1, deadline=deadline)
    try:
        async with pool.transaction() as session:
            await session.query(sql["lock"], _LOCK)
            pending = _checked(await _states(session))
            for migration in known_migrations():
                if migration.version in pending and (to is None or migration.version <= to):
                    await session.script(migration.sql)
                    await session.script(sql["become_owner"])
                    row = (migration.version, migration.name, migration.checksum)
                    await session.query(sql["write_applied"], *row)
                    await session.script(sql["become_self"])
            return await _states(session)
    finally:
        await pool.close()


async def _states(session: Session) -> tuple[MigrationState, ...]:
    sql = load_statements(_PACKAGE, "sql/migrate.sql")
    (there,) = await session.query(sql["has_table"])
    applied = {row["version"]: row for row in await session.query(sql["read_applied"])} if there[0] else {}
    known = {migration.version: migration for migration in known_migrations()}
    return tuple(_state(version, known.get(version), applied.get(version)) for version in sorted({*known, *applied}))


def _state(version: int, known: Migration | None, applied: Mapping[str, Any] | None) -> MigrationState:
    if applied is None:
        assert known is not None
        return MigrationState(version, known.name, "pending")
    if known is None:
        return MigrationState(version, applied["name"], "unknown", applied["applied_at"])
    same = known.checksum == applied["checksum"]
    return MigrationState(version, known.name, "applied" if same else "changed", applied["applied_at"])


def _checked(states: tuple[MigrationState, ...]) -> set[int]:
    """Return the versions that are pending.

    Raises:
        MigrationError: the database has what this version does not.
    """
    for state in states:
        if state.state == "unknown":
            raise MigrationError(f"the database has version {state.version}, which is of a newer tenaudit; upgrade it")
        if state.state == "changed":
            what = f"migration {state.version:04d}_{state.name}"
            raise MigrationError(f"{what} was applied with other statements; use the tenaudit that applied it")
    return {state.version for state in states if state.state == "pending"}
