"""The embedded store under kill -9 and on a full disk: what was acknowledged is there, and it verifies."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from uuid import UUID

import pytest

from tenaudit.audit import AuditQuery
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance import an_event

WRITER = """
import asyncio, sys
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance import an_event

async def main():
    async with SqliteStore.open(sys.argv[1]) as store:
        for n in range(int(sys.argv[2]), 10**6, 5):
            events = [an_event(n + k) for k in range(5)]
            await store.append(events)
            print(" ".join(str(event.event_id) for event in events), flush=True)
            if n % 50 == 0:
                await store.seal()

asyncio.run(main())
"""


def killed_after(path, start, lines):
    """Run the writer until it has acknowledged that many batches, kill it, and return what it acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(start)], stdout=subprocess.PIPE, text=True
    ) as worker:
        acknowledged = [worker.stdout.readline() for _ in range(lines)]
        assert all(acknowledged), "the writer ended by itself"
        worker.send_signal(signal.SIGKILL)
        acknowledged += worker.stdout.readlines()
        worker.wait(timeout=30)
    # The last line may be cut by the kill itself.
    return [UUID(word) for line in acknowledged if line.endswith("\n") for word in line.split()]


@pytest.mark.faults
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path):
    path = tmp_path / "audit.db"
    acknowledged = set()
    chance = random.Random(7)
    for turn in range(6):
        acknowledged |= set(killed_after(path, 10_000 * turn, chance.randint(1, 40)))

    async def main():
        stored = set()
        async with SqliteStore.open(path) as store:
            found = await store.verify()
            assert found.verified, found.problems
            query = AuditQuery(an_event(0).tenant_id, limit=500)
            page = await store.search(query)
            stored |= {event.event_id for event in page.events}
            while page.next_cursor is not None:
                page = await store.search(query.at(page.next_cursor))
                stored |= {event.event_id for event in page.events}
            await store.seal()
            assert (await store.append([an_event(999_999)])).stored == 1
            assert (await store.verify()).verified
        # Of each killed process one batch more may have been committed than it could tell of.
        assert acknowledged <= stored
        assert len(stored - acknowledged) <= 6 * 5

    asyncio.run(main())


FULL = """
import asyncio, resource, sys
from tenaudit.audit import StoreError
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance import an_event

def batch(n):
    return [an_event(n + k, payload={"text": "x" * 500}) for k in range(20)]

async def main():
    async with SqliteStore.open(sys.argv[1]) as store:
        taken = 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
        try:
            while taken < 100_000:
                await store.append(batch(taken))
                taken += 20
        except StoreError as error:
            assert sys.argv[1] in str(error), error
        for call in (store.append(batch(taken)), store.append(batch(taken))):
            try:
                await call
            except StoreError as error:
                assert "transaction" not in str(error), error
        assert (await store.count()) >= taken
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        result = await store.append(batch(taken))
        assert result.stored + result.duplicates == 20
        await store.seal()
        assert (await store.count()) == taken + 20
        assert (await store.verify()).verified
        print(taken)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_FSIZE")
def test_a_full_disk_is_an_error_and_no_more_than_that(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "audit.db")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout) < 100_000
