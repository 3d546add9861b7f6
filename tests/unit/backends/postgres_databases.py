"""Databases of a test's own on the shared PostgreSQL, and users of no more than the roles they are given."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import contextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from tenaudit.backends.postgres import migrate

WITHIN = 20.0
PASSWORD = "apart"
ROLES = ("tenaudit_writer", "tenaudit_reader")


def run(main):
    return asyncio.run(asyncio.wait_for(main, 100))


def at(dsn, *, database=None, user=None, password=PASSWORD, port=None):
    """Return the DSN of another database or user."""
    parts = urlsplit(dsn)
    name, word = (user, password) if user else (parts.username, parts.password or "")
    netloc = f"{name}:{quote(word)}@{parts.hostname}:{port or parts.port}"
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}" if database else parts.path))


async def execute(dsn, *statements):
    connection = await asyncpg.connect(dsn, timeout=WITHIN, command_timeout=WITHIN)
    try:
        return [await connection.fetch(statement) for statement in statements]
    finally:
        await connection.close(timeout=WITHIN)


@contextmanager
def database(dsn, *, template=None):
    """Give out the DSN of a new database, empty or a copy of another one's."""
    name = f"audit_{uuid.uuid4().hex[:16]}"
    source = f" TEMPLATE {urlsplit(template).path[1:]}" if template else ""
    run(execute(dsn, f"CREATE DATABASE {name}{source}"))
    try:
        yield at(dsn, database=name)
    finally:
        run(execute(dsn, f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def migrated(dsn):
    """Give out the DSN of a new database with every migration applied."""
    with database(dsn) as fresh:
        run(migrate(fresh))
        yield fresh


@contextmanager
def user(dsn, *roles, options=""):
    """Give out the DSN of the same database for a new user."""
    name = f"user_{uuid.uuid4().hex[:16]}"
    make = [f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {options}"]
    run(execute(dsn, *make, *(f"GRANT {role} TO {name}" for role in roles)))
    try:
        yield at(dsn, user=name)
    finally:
        run(execute(dsn, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}"))
