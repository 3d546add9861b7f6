"""The published suite of dead letters, run for the table in a real PostgreSQL."""

from __future__ import annotations

import pytest

from tenaudit.backends.postgres import PostgresDeadLetters
from tenaudit.testing.conformance import DeadLetterConformance
from tests.unit.backends.postgres_databases import ROLES, execute, migrated, run, user

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def trail(postgres_service):
    with migrated(postgres_service.dsn) as owner, user(owner, *ROLES, "tenaudit_purger") as dsn:
        yield owner, dsn


class TestPostgresDeadLetters(DeadLetterConformance):
    @pytest.fixture(autouse=True)
    def _emptied(self, trail):
        owner, self.dsn = trail
        yield
        run(execute(owner, "TRUNCATE tenaudit.dead_letters"))

    async def open_letters(self, folder, bounds, clock):
        return await PostgresDeadLetters(self.dsn, bounds=bounds, clock=clock)
