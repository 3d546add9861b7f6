"""The published suite of erasure, run for the embedded store."""

from __future__ import annotations

from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance import ErasureConformance


class TestSqliteErasure(ErasureConformance):
    async def open_store(self, folder, clock, personal):
        return await SqliteStore.open(folder / "audit.db", clock=clock, personal=personal)
