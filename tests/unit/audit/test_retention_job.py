"""The job of retention: what it counts, that others' turns are no failures, and that it never gets in the way."""

from __future__ import annotations

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit.retention import PurgeBusy, RetentionJob
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.errors import ConfigurationError
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.retention_suite import NOW, aged


def run(main):
    return asyncio.run(asyncio.wait_for(main, 30))


class Failing:
    def __init__(self, failure):
        self.failure = failure
        self.calls = 0
        self.called = asyncio.Event()

    async def purge(self, **_options):
        self.calls += 1
        self.called.set()
        if self.failure is None:
            await asyncio.Event().wait()
        raise self.failure


def values(registry):
    names = ("audit_retention_deleted_total", "audit_retention_last_run_timestamp_seconds")
    return [registry.get_sample_value(name) for name in names]


def test_it_counts_what_went_and_when(tmp_path):
    async def main():
        registry, clock = CollectorRegistry(), ManualClock(NOW.timestamp())
        async with SqliteStore.open(tmp_path / "a.db", clock=clock) as store:
            await store.append([aged(n, 40) for n in range(5)])
            job = RetentionJob(store, registry=registry, clock=clock)
            assert (await job.run()).rows == 5
            assert values(registry) == [5, NOW.timestamp()]
            clock.advance(60)
            assert (await job.run()).rows == 0
            assert values(registry) == [5, NOW.timestamp() + 60]

    run(main())


def test_a_period_and_an_archive_of_its_own(tmp_path):
    async def main():
        clock = ManualClock(NOW.timestamp())
        async with SqliteStore.open(tmp_path / "a.db", clock=clock) as store:
            await store.append([aged(0, 5)])
            job = RetentionJob(store, registry=CollectorRegistry(), clock=clock, default_days=3, archive=tmp_path)
            (one,) = (await job.run()).tenants
            assert (one.rows, one.archives[0].rows) == (1, 1)

    run(main())


def test_it_purges_at_the_start_of_its_block_and_again(tmp_path):
    async def main():
        store = Failing(PurgeBusy("another"))
        async with RetentionJob(store, registry=CollectorRegistry(), every=0.001):
            for _ in range(3):
                store.called.clear()
                await store.called.wait()
        seen = store.calls
        await asyncio.sleep(0)
        assert store.calls == seen

    run(main())


def test_another_purge_is_no_failure(caplog):
    async def main():
        registry = CollectorRegistry()
        with caplog.at_level(logging.WARNING):
            assert await RetentionJob(Failing(PurgeBusy("another")), registry=registry).run() is None
        assert caplog.records == []
        assert values(registry) == [0, 0]

    run(main())


def test_a_purge_that_fails_is_logged_and_not_told_as_one(caplog):
    async def main():
        registry = CollectorRegistry()
        assert await RetentionJob(Failing(RuntimeError("x")), registry=registry).run() is None
        assert [record.action for record in caplog.records] == ["audit_purge_failed"]
        assert values(registry) == [0, 0]

    run(main())


def test_a_store_that_hangs_is_given_up():
    async def main():
        assert await RetentionJob(Failing(None), registry=CollectorRegistry(), seconds=0.01).run() is None

    run(main())


def test_a_block_ends_while_a_purge_runs():
    async def main():
        store = Failing(None)
        async with RetentionJob(store, registry=CollectorRegistry()):
            await store.called.wait()

    run(main())


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ({"every": 0}, "every"),
        ({"seconds": -1}, "seconds"),
        ({"default_days": 0}, "default_days"),
        ({"archive": "/nowhere"}, "archive"),
    ],
)
def test_bad_input_is_named(option, field):
    with pytest.raises(ConfigurationError, match=field):
        RetentionJob(Failing(None), registry=CollectorRegistry(), **option)
