"""The published suite of API key stores, run for the ones that need no server."""

from __future__ import annotations

from tenaudit.backends.sqlite import SqliteApiKeyStore
from tenaudit.security import InMemoryApiKeyStore
from tenaudit.testing.conformance import ApiKeyStoreConformance


class TestInMemoryApiKeyStore(ApiKeyStoreConformance):
    async def open_store(self, folder):
        return InMemoryApiKeyStore()


class TestSqliteApiKeyStore(ApiKeyStoreConformance):
    async def open_store(self, folder):
        return await SqliteApiKeyStore.open(folder / "keys.db")
