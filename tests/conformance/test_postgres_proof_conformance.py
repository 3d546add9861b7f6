"""The published suite of proofs, run for the store in a real PostgreSQL."""

from __future__ import annotations

import pytest

from tenaudit.backends.postgres import PostgresStore
from tenaudit.testing.conformance import ProofConformance
from tests.unit.backends.postgres_databases import ROLES, database, migrated, user

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def template(postgres_service):
    with migrated(postgres_service.dsn) as dsn:
        yield dsn


class TestPostgresProofs(ProofConformance):
    @pytest.fixture(autouse=True)
    def _database(self, postgres_service, template):
        with database(postgres_service.dsn, template=template) as dsn, user(dsn, *ROLES) as self.dsn:
            yield

    async def open_store(self, folder):
        return await PostgresStore.connect(self.dsn)
