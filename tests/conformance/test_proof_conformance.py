"""The published suite of proofs, run for every store of this package that needs no server."""

from __future__ import annotations

from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance import ProofConformance


class TestSqliteProofs(ProofConformance):
    async def open_store(self, folder):
        return await SqliteStore.open(folder / "audit.db")
