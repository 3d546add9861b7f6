"""Dead letters in PostgreSQL: who may see, change and delete them, and what is said of a database that has none."""

from __future__ import annotations

import asyncpg
import pytest

from tenaudit.audit import StoreError
from tenaudit.audit.consumer import Partition, SourceRecord
from tenaudit.backends.postgres import PostgresDeadLetters, migrate
from tenaudit.errors import ConfigurationError
from tests.unit.backends.postgres_databases import PASSWORD, at, database, execute, migrated, run, user

pytestmark = pytest.mark.services

RECORD = SourceRecord(Partition("audit.events", 0), 7, b"a secret", b"key")


@pytest.fixture(scope="module")
def owner(postgres_service):
    with migrated(postgres_service.dsn) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def users(owner):
    """The DSN of a user of each role, and a letter that the writer has put."""
    with (
        user(owner, "tenaudit_writer") as writer,
        user(owner, "tenaudit_reader") as reader,
        user(owner, "tenaudit_purger") as purger,
        user(owner) as nobody,
    ):
        run(put(writer))
        yield {"writer": writer, "reader": reader, "purger": purger, "nobody": nobody}


async def put(dsn):
    async with PostgresDeadLetters(dsn) as letters:
        await letters.put(RECORD, "not_json")


@pytest.mark.parametrize("who", ["writer", "reader", "purger"])
def test_every_role_sees_where_and_why(users, who):
    async def main():
        async with PostgresDeadLetters(users[who]) as letters:
            (letter,) = await letters.page()
            assert (letter.offset, letter.reason, letter.size) == (7, "not_json", 8)
            assert await letters.get(letter.id) == letter

    run(main())


@pytest.mark.parametrize("who", ["writer", "purger"])
def test_who_consumes_or_purges_sees_what_is_inside(users, who):
    async def main():
        async with PostgresDeadLetters(users[who]) as letters:
            assert await letters.record((await letters.page())[0].id) == RECORD
            assert (await letters.totals()).letters == 1

    run(main())


def test_a_reader_sees_nothing_of_what_is_inside(users):
    async def main():
        async with PostgresDeadLetters(users["reader"]) as letters:
            (letter,) = await letters.page()
            for call in (letters.record(letter.id), letters.totals(), letters.refused(letter.id, "x")):
                with pytest.raises(StoreError, match=r"denies it \(42501\)"):
                    await call
            with pytest.raises(StoreError, match=r"denies it \(42501\)"):
                await letters.put(RECORD, "not_json")

    run(main())


@pytest.mark.parametrize("who", ["writer", "reader"])
def test_who_consumes_or_reads_cannot_delete_one_and_is_told_who_can(users, who):
    async def main():
        async with PostgresDeadLetters(users[who]) as letters:
            (letter,) = await letters.page()
            with pytest.raises(StoreError, match="may not delete dead letters; grant tenaudit_purger"):
                await letters.delete(letter.id)
            assert len(await letters.page()) == 1

    run(main())


@pytest.mark.parametrize("who", ["writer", "purger", "reader"])
def test_nobody_changes_what_came(users, who):
    for change in ("value = '{}'", "record_key = NULL", "headers = '[]'", "topic = 'x'", "place = 1", "digest = '{}'"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            run(execute(users[who], f"UPDATE tenaudit.dead_letters SET {change}"))


def test_who_has_no_role_is_told_at_the_start(users):
    with pytest.raises(StoreError, match=r"denies it \(42501\)"):
        run(put(users["nobody"]))


def test_an_altered_row_is_named(owner):
    async def main(dsn):
        await put(dsn)
        await execute(owner, "UPDATE tenaudit.dead_letters SET headers = '[[1]]'")
        async with PostgresDeadLetters(dsn) as letters:
            (letter,) = await letters.page()
            with pytest.raises(StoreError, match=f"dead letter {letter.id} in PostgreSQL was altered"):
                await letters.record(letter.id)

    with user(owner, "tenaudit_writer") as dsn:
        try:
            run(main(dsn))
        finally:
            run(execute(owner, "UPDATE tenaudit.dead_letters SET headers = '[]'"))


def test_a_database_of_an_earlier_version_is_told_to_migrate(postgres_service):
    async def main(dsn):
        for version in (0, 3):
            await migrate(dsn, to=version)
            with pytest.raises(StoreError, match="run tenaudit db migrate"):
                await PostgresDeadLetters(dsn)
        await migrate(dsn)
        letters = await PostgresDeadLetters(dsn)
        await letters.close()
        with pytest.raises(StoreError, match="closed"):
            await letters.page()

    with database(postgres_service.dsn) as dsn:
        run(main(dsn))


def test_nothing_that_is_said_repeats_the_password(postgres_service):
    with pytest.raises(ConfigurationError, match="postgresql://USER"):
        PostgresDeadLetters(f"mysql://u:{PASSWORD}@h/d")
    with pytest.raises(StoreError) as caught:
        run(put(at(postgres_service.dsn, user="nobody")))
    assert PASSWORD not in str(caught.value)
