"""The published suite of dead letters, run for the file that needs no server."""

from __future__ import annotations

from tenaudit.backends.sqlite.dead_letters import SqliteDeadLetters
from tenaudit.testing.conformance import DeadLetterConformance


class TestSqliteDeadLetters(DeadLetterConformance):
    async def open_letters(self, folder, bounds, clock):
        return await SqliteDeadLetters(folder / "dead.db", bounds=bounds, clock=clock)
