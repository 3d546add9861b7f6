"""Stores of API keys under wrong input: paths, numbers, addresses and rows that no caller should have given."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from uuid import UUID

import pytest

from tenaudit.backends.jwks import JwksKeySource
from tenaudit.backends.postgres import PostgresApiKeyStore
from tenaudit.backends.sqlite import SqliteApiKeyStore
from tenaudit.errors import ConfigurationError
from tenaudit.security import ApiKeyStoreError, InMemoryApiKeyStore, new_api_key

INFINITE = float("inf")


def refused(store, prefix="ta_0123456789ab"):
    async def main():
        async with store:
            await store.get(prefix)

    with pytest.raises(ApiKeyStoreError) as caught:
        asyncio.run(asyncio.wait_for(main(), 60))
    return str(caught.value)


@pytest.mark.parametrize("name", ["a\0.db", "a\ud800.db"])
def test_a_path_that_no_file_can_have_is_told(tmp_path, name):
    assert "is no path of a file" in refused(SqliteApiKeyStore.open(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_a_deadline_without_an_end_is_refused(tmp_path):
    for make in (
        lambda: SqliteApiKeyStore.open(tmp_path / "keys.db", deadline=INFINITE),
        lambda: PostgresApiKeyStore.connect("postgresql://127.0.0.1/keys", deadline=INFINITE),
    ):
        with pytest.raises(ConfigurationError, match="deadline"):
            make()


def test_a_port_that_no_host_has_is_told_without_the_password():
    said = refused(PostgresApiKeyStore.connect("postgresql://gateway:hidden@127.0.0.1:99999/keys"))
    assert "PostgreSQL failed: OverflowError" in said
    assert "hidden" not in said


@pytest.mark.parametrize("prefix", [None, 5, b"ta_0123456789ab"])
def test_a_prefix_that_is_no_text_names_no_key(tmp_path, prefix):
    async def main():
        async with SqliteApiKeyStore.open(tmp_path / "keys.db") as store:
            assert await store.get(prefix) is None
            with pytest.raises(ConfigurationError, match="after"):
                await store.list(after=prefix or 1)

    asyncio.run(main())


@pytest.mark.parametrize("limit", [None, "10", 1.5, float("nan")])
def test_a_limit_that_is_no_whole_number_is_refused(limit):
    with pytest.raises(ConfigurationError, match="limit must be 1 to 1000"):
        asyncio.run(InMemoryApiKeyStore().list(limit=limit))


@pytest.mark.parametrize("roles", ['"Admin"', '{"Admin": 1}', "[" * 100_000, "null", "[5]"])
def test_roles_that_are_no_list_are_a_row_that_was_altered(tmp_path, roles):
    record = new_api_key(UUID(int=7), ["Cashier"])[1]
    store = SqliteApiKeyStore.open(tmp_path / "keys.db")

    async def save():
        async with store:
            await store.put(record)

    asyncio.run(save())
    with closing(sqlite3.connect(tmp_path / "keys.db")) as connection, connection:
        connection.execute("UPDATE api_keys SET roles = ?", (roles,))
    assert "a row was altered" in refused(SqliteApiKeyStore.open(tmp_path / "keys.db"), record.prefix)


def test_a_bound_of_an_answer_that_nothing_exceeds_is_refused():
    with pytest.raises(ConfigurationError, match="max_bytes"):
        JwksKeySource("https://idp.example/jwks", max_bytes=float("nan"))
