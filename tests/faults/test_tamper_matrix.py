"""Tamper matrix: every single tampering with a store of ten thousand events is found and named, its owner's too.

The checkpoints were signed and kept in a file. What a store can only tell with them is verified without them as well:
nothing is told then, which is why they are signed.
"""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime
from uuid import UUID

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import CheckpointKeeper
from tenaudit.audit.integrity import LogOfLogs, tenant_of
from tenaudit.audit.integrity.note_keys import new_signer_key, signer_from, verifier_from, verifier_key
from tenaudit.backends.checkpoint_file import CheckpointFile, read_rounds
from tenaudit.backends.postgres import PostgresStore
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance.events import an_event
from tests.faults.figures import show
from tests.faults.tampering import ATTACKS, TABLES, Victim
from tests.faults.tier import SEED, rounds
from tests.unit.backends.postgres_databases import ROLES, migrated, user

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.timeout(rounds(120, 3600))]
TENANTS = [UUID(int=0x7B0E4C9E6F0A4D5C8F0E000000000000 + number) for number in range(5)]
EACH, SIGNED = 2000, 1900
# Each kind on each store; 1 000 single tamperings of each store and more in the long tier.
TIMES = rounds(2, 84)
KEY = new_signer_key("audit.example/prod")
TRUSTED = [verifier_from(verifier_key(KEY))]


async def filled(store, folder):
    """Ten thousand events of five tenants, of which all but the last few are signed, in several rounds."""
    place = CheckpointFile(folder / "checkpoints.ndjson")
    keeper = CheckpointKeeper(store, signer_from(KEY), TRUSTED, [place], registry=CollectorRegistry())
    for start, stop in ((0, 700), (700, 701), (701, SIGNED), (SIGNED, EACH)):
        for tenant in TENANTS:
            await store.append([an_event(n, tenant_id=tenant, payload={"amount": n}) for n in range(start, stop)])
        if stop <= SIGNED:
            assert await keeper.once() == len(TENANTS)
    await store.seal()
    await place.close()
    logs, signed = LogOfLogs(TRUSTED), {}
    for sealed in read_rounds(folder / "checkpoints.ndjson"):
        for checkpoint in logs.take(sealed):
            signed.setdefault(tenant_of(checkpoint.origin), []).append(checkpoint)
    return signed


class SqliteSide:
    """A store in a file, and a copy of it for each attack."""

    schema = ""

    def __init__(self, folder):
        self.whole, self.path = folder / "whole.db", folder / "audit.db"
        self.signed = asyncio.run(self._filled(folder))
        with closing(sqlite3.connect(self.whole)) as file:
            self.key = file.execute("SELECT value FROM meta WHERE name = 'content_key'").fetchone()[0]

    async def _filled(self, folder):
        async with SqliteStore.open(self.whole) as store:
            return await filled(store, folder)

    def attacked(self, tenant, attack, chance):
        for ending in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        shutil.copy(self.whole, self.path)
        with closing(sqlite3.connect(self.path, isolation_level=None)) as file:
            file.row_factory = sqlite3.Row

            def ask(sql, *values):
                found = file.execute(sql, [str(one) if isinstance(one, UUID) else one for one in values])
                return [dict(row) for row in found.fetchall()]

            ask("BEGIN")
            told = attack(Victim(ask, self.schema, tenant, self.key, SIGNED), chance)
            ask("COMMIT")
        return told

    def verified(self, signed=None):
        async def main():
            async with SqliteStore.open(self.path) as store:
                return await store.verify(signed=signed)

        return asyncio.run(main())

    def close(self):
        """Nothing is open."""


class PostgresSide:
    """A store in a database, with a copy of every table in another schema."""

    schema = "tenaudit."

    def __init__(self, admin, dsn, folder):
        self.dsn = dsn
        self.runner = asyncio.Runner()
        self.admin = self.runner.run(asyncpg.connect(admin))
        self.signed = self.runner.run(self._filled(folder))
        self._admin("CREATE SCHEMA kept", *(f"CREATE TABLE kept.{name} AS TABLE tenaudit.{name}" for name in TABLES))
        self._admin(*(f"CREATE INDEX ON kept.{name} (tenant_id)" for name in TABLES))
        self.key = self.ask("SELECT value FROM tenaudit.meta WHERE name = 'content_key'")[0]["value"]

    async def _filled(self, folder):
        async with PostgresStore.connect(self.dsn) as store:
            return await filled(store, folder)

    def _admin(self, *statements):
        for one in statements:
            self.runner.run(self.admin.execute(one))

    def ask(self, sql, *values):
        for number in range(1, len(values) + 1):
            sql = sql.replace("?", f"${number}", 1)
        given = [datetime.fromisoformat(one) if isinstance(one, str) and one[:2] == "20" else one for one in values]
        return [dict(row) for row in self.runner.run(self.admin.fetch(sql, *given))]

    def attacked(self, tenant, attack, chance):
        self._admin("BEGIN")
        for name in TABLES:
            # Who was attacked before is whole again.
            self.ask(f"DELETE FROM tenaudit.{name}")
            self._admin(f"INSERT INTO tenaudit.{name} SELECT * FROM kept.{name}")
        told = attack(Victim(self.ask, self.schema, tenant, self.key, SIGNED), chance)
        self._admin("COMMIT")
        return told

    def verified(self, signed=None):
        async def main():
            async with PostgresStore.connect(self.dsn) as store:
                return await store.verify(signed=signed)

        return self.runner.run(main())

    def close(self):
        self.runner.run(self.admin.close())
        self.runner.close()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def side(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tampered")
    if request.param == "sqlite":
        yield SqliteSide(folder)
        return
    service = request.getfixturevalue("postgres_service")
    with migrated(service.dsn) as admin, user(admin, *ROLES) as dsn:
        made = PostgresSide(admin, dsn, folder)
        yield made
        made.close()


def test_without_tampering_there_is_no_problem(side):
    side.attacked(TENANTS[0], lambda *_: None, None)
    report = side.verified(side.signed)
    assert (report.problems, report.events, report.tenants) == ((), EACH * len(TENANTS), len(TENANTS))


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.__name__ for attack in ATTACKS])
def test_every_single_tampering_is_found_and_named(side, attack, capsys):
    found = Counter()
    for number in range(TIMES):
        chance = random.Random(f"{SEED} {attack.__name__} {number}")
        tenant = chance.choice(TENANTS)
        told = side.attacked(tenant, attack, chance)
        if told.only_when_signed and number == 0:
            assert side.verified().verified, "nothing but a signed checkpoint should tell"
        report = side.verified(side.signed)
        where = f"TENAUDIT_SEED={SEED}, {attack.__name__} {number}: {report.problems[:3]}"
        assert report.problems, where
        assert {problem.tenant_id for problem in report.problems} == {tenant}, where
        if told.events:
            assert told.events & {str(problem.event_id) for problem in report.problems}, where
        else:
            # A place or a range of the log.
            assert any(one.kind in told.kinds and re.search(r"\d", one.detail) for one in report.problems), where
        found.update(problem.kind for problem in report.problems)
    show(
        capsys,
        f"TENAUDIT_SEED={SEED}: {type(side).__name__}, {attack.__name__}: {TIMES} of {TIMES} found, {dict(found)}",
    )
