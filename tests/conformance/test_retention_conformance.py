"""The published suite of retention, run for every store of this package that needs no server."""

from __future__ import annotations

from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance import RetentionConformance


class TestSqliteRetention(RetentionConformance):
    async def open_store(self, folder, clock):
        return await SqliteStore.open(folder / "audit.db", clock=clock)
