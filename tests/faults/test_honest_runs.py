"""No false alarm: writers, purges, erasures, holds, checkpoints and verifications at once, and never a problem.

Each run is a tenant of its own with a random order of the lot, and what was sealed in it is held against it at the end.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tenaudit.audit import AuditQuery, PersonalFields
from tenaudit.audit.erasure import ErasureHeld
from tenaudit.audit.retention import PurgeBusy
from tenaudit.backends.postgres import PostgresStore
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance.events import an_event
from tests.faults.figures import show
from tests.faults.tier import SEED, rounds
from tests.unit.backends.postgres_databases import ROLES, migrated, user

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.timeout(rounds(120, 3600))]
# Of each store; a thousand in the long tier.
RUNS = rounds(12, 1000)
PEOPLE = ("alice", "bob", "carol")
PERSONAL = PersonalFields(["payload.mail", "resource_id"])


class Run:
    """One tenant's life in a store that others use too."""

    def __init__(self, store, number):
        self.store = store
        self.chance = random.Random(f"{SEED} honest {number}")
        self.tenant = UUID(int=0x7B0E4C9E6F0A4D5C8F0E000000000000 + number)
        self.now = datetime.now(UTC)
        self.numbers = iter(range(10**6))
        self.done = Counter()
        self.signed = []

    def events(self, count):
        """Return events of which a third are past their period."""
        made = []
        for number in (next(self.numbers) for _ in range(count)):
            age = timedelta(days=self.chance.choice([1, 2, 45]), seconds=number)
            ms = int((self.now - age).timestamp() * 1000)
            who, other = self.chance.choice([*PEOPLE, None]), self.chance.choice(PEOPLE)
            payload = {"mail": f"{who}@example.org", "client_ip": "192.0.2.7", "by": other, "n": number}
            made.append(
                an_event(
                    number,
                    event_id=UUID(int=ms << 80 | 7 << 76 | 2 << 62 | number),
                    occurred_at=self.now - age,
                    tenant_id=self.tenant,
                    actor_id=who,
                    resource_id=other,
                    payload=payload,
                )
            )
        return made

    async def write(self):
        sent = []
        for _ in range(self.chance.randrange(2, 6)):
            batch = self.events(self.chance.randrange(1, 9))
            # Some come again, as they do from a stream.
            self.done += Counter((await self.store.append(batch + self.chance.sample(sent, len(sent) // 3)))._asdict())
            sent += batch

    async def purge(self):
        try:
            self.done["purged"] += (await self.store.purge(self.tenant, batch=self.chance.randrange(1, 9))).rows
        except PurgeBusy:
            self.done["busy"] += 1

    async def erase(self):
        batch = self.chance.randrange(1, 9)
        try:
            report = await self.store.erase(self.chance.choice(PEOPLE), tenant_id=self.tenant, batch=batch)
            self.done["erased"] += report.values
        except ErasureHeld:
            self.done["held"] += 1

    async def hold(self):
        await self.store.hold(self.tenant, reason="case", by="legal")
        await asyncio.sleep(0)
        await self.store.release(self.tenant, reason="closed", by="legal")

    async def seal(self):
        for _ in range(3):
            self.signed += await self.store.seal(self.tenant)

    async def verify(self):
        # What is sealed now the log has from here on, whatever goes.
        signed = {self.tenant: [*self.signed]}
        report = await self.store.verify(self.tenant, signed=signed)
        assert report.verified, (self.tenant, report.problems[:3])
        self.done["verified"] += 1

    async def through(self):
        await self.store.append(self.events(5))
        steps = [self.write, self.write, self.purge, self.erase, self.erase, self.hold, self.seal, self.verify]
        self.chance.shuffle(steps)
        await asyncio.gather(*(step() for step in steps))
        await self.erase()
        await self.purge()
        await self.seal()
        await self.verify()
        page = await self.store.search(AuditQuery(self.tenant, limit=200))
        found = await self.store.prove_events(self.tenant, [event.event_id for event in page.events])
        assert all(proof.holds() for proof in found.proofs.values())


async def lived(store):
    """Let tenants live, a few at a time, and return what became of them."""
    told = Counter()
    for start in range(0, RUNS, 4):
        runs = [Run(store, number) for number in range(start, min(start + 4, RUNS))]
        await asyncio.gather(*(run.through() for run in runs))
        for run in runs:
            told += run.done
    return told


def shown(capsys, name, told):
    # A run in which nothing went would prove nothing.
    assert all(told[what] for what in ("stored", "duplicates", "purged", "erased", "verified")), told
    show(capsys, f"TENAUDIT_SEED={SEED}: {name}: {RUNS} honest runs, no alarm, {dict(told)}")


def test_of_the_embedded_store(tmp_path, capsys):
    async def main():
        async with SqliteStore.open(tmp_path / "audit.db", personal=PERSONAL) as store:
            told = await lived(store)
            report = await store.verify()
            assert (report.verified, report.tenants) == (True, RUNS), report.problems[:3]
            return told

    shown(capsys, "SqliteStore", asyncio.run(main()))


def test_of_postgresql(postgres_service, capsys):
    async def main(dsn):
        async with PostgresStore.connect(dsn, personal=PERSONAL, deadline=30) as store:
            told = await lived(store)
            report = await store.verify()
            assert (report.verified, report.tenants) == (True, RUNS), report.problems[:3]
            return told

    with migrated(postgres_service.dsn) as owner, user(owner, *ROLES, "tenaudit_purger") as dsn:
        shown(capsys, "PostgresStore", asyncio.run(main(dsn)))
