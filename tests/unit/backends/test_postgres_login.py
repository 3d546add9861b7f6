"""Who may not come in to PostgreSQL is told why, by every store alike, and nothing of the DSN is in it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tenaudit.backends.postgres import PostgresApiKeyStore, PostgresStore, migrate
from tenaudit.backends.postgres.outbox_relay import PostgresOutboxSource
from tenaudit.cli import main as command
from tenaudit.errors import TenauditError
from tests.unit.backends.postgres_databases import at, execute, run, user

pytestmark = pytest.mark.services

SECRET = "hunter2"
NOWHERE = "no_such_database"


@pytest.fixture
def dsn(postgres_service):
    with user(postgres_service.dsn) as dsn:
        yield dsn


async def backlog(dsn):
    source = PostgresOutboxSource(dsn)
    try:
        await source.backlog()
    finally:
        await source.close()


CALLS = [PostgresStore.connect, PostgresApiKeyStore.connect, migrate, backlog]


def said(call, dsn):
    async def main():
        await call(dsn)

    with pytest.raises(TenauditError) as caught:
        run(main())
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_password_and_an_unknown_user_are_told_alike(call, dsn):
    name = urlsplit(dsn).username
    for wrong in (at(dsn, user=name, password=SECRET), at(dsn, user="nobody_here", password=SECRET)):
        told = said(call, wrong)
        assert told == "PostgreSQL refuses the user or the password (28P01); check both"
        assert SECRET not in told
        assert name not in told


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("NOLOGIN", "does not let the user in (28000); check the user's name, that it has LOGIN, and pg_hba.conf"),
        ("CONNECTION LIMIT 0", "no connection left (53300); raise max_connections or the user's CONNECTION LIMIT"),
    ],
)
def test_a_user_who_may_not_log_in_is_told(call, option, told, postgres_service, dsn):
    run(execute(postgres_service.dsn, f"ALTER ROLE {urlsplit(dsn).username} {option}"))
    assert told in said(call, dsn)


@pytest.mark.parametrize("call", CALLS)
def test_a_database_that_is_not_there_is_told(call, dsn):
    told = said(call, at(dsn, database=NOWHERE))
    assert told == "PostgreSQL has no such database (3D000); check its name, or create it"


@pytest.mark.parametrize("call", CALLS)
def test_settings_that_no_connection_can_be_made_with_are_told(call, dsn):
    told = said(call, f"{dsn}?sslmode=bogus")
    assert told == "the DSN has a setting that asyncpg cannot use; check its sslmode, its files and what follows the ?"


def test_a_command_says_it_in_one_line(dsn, capsys):
    assert command(["db", "status", "--store", at(dsn, user="nobody_here", password=SECRET)]) == 2
    assert capsys.readouterr().err == "error: PostgreSQL refuses the user or the password (28P01); check both\n"
