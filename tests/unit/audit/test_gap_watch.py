"""The gauge of missing events: what it looks at, what it bears, and that it ends with its block."""

from __future__ import annotations

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import StoreError
from tenaudit.audit.consumer.gaps import GapWatch
from tenaudit.audit.producer_rows import ProducerRow, StoreAccount
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.errors import ConfigurationError
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import START

NOW = 1_800_000_000


class Answers:
    """A store that answers what a test says, and notes what it was asked."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.windows = []
        self.asked = asyncio.Condition()

    async def account(self, window, *, held, seconds):
        assert (dict(held), seconds) == ({}, 5.0)
        self.windows.append((window.since_ms / 1000 - NOW, window.until_ms / 1000 - NOW))
        async with self.asked:
            self.asked.notify_all()
        answer = self._answers.pop(0) if self._answers else 0
        if isinstance(answer, int):
            return StoreAccount((ProducerRow("orders-1", "orders", 5, 0, 4 + answer),))
        raise answer


def run(main):
    async def bounded():
        async with asyncio.timeout(30):
            return await main

    return asyncio.run(bounded())


def watch_of(store, registry, **options):
    return GapWatch(store, registry=registry, clock=ManualClock(NOW), **options)


def shown(registry):
    return registry.get_sample_value("audit_events_missing")


def failures(registry):
    return registry.get_sample_value("audit_ingest_failures_total", {"reason": "gaps"}) or 0


def test_the_gauge_shows_the_gaps_and_the_log_those_that_are_new(caplog):
    async def main():
        registry = CollectorRegistry()
        watch = watch_of(Answers(2, 2, 0, 1), registry)
        assert shown(registry) == 0
        assert [await watch.look() for _ in range(4)] == [2, 2, 0, 1]
        assert shown(registry) == 1
        assert failures(registry) == 0

    run(main())
    told = [record.events for record in caplog.records if getattr(record, "action", "") == "audit_events_missing"]
    assert told == [2, 1]


def test_a_look_is_about_the_last_hour_but_for_a_minute():
    async def main():
        store = Answers()
        await watch_of(store, CollectorRegistry()).look()
        assert store.windows == [(-3660, -60)]

    run(main())


def test_a_look_that_fails_is_counted_and_the_next_is_shorter():
    async def main():
        registry, store = CollectorRegistry(), Answers(3, *[StoreError("away")] * 8, ValueError(), 0, 0)
        watch = watch_of(store, registry)
        assert [await watch.look() for _ in range(10)] == [3, *[None] * 9]
        assert (shown(registry), failures(registry)) == (3, 9)
        assert [await watch.look() for _ in range(2)] == [0, 0]
        lengths = [until - since for since, until in store.windows]
        assert lengths == [3600, 3600, 1800, 900, 450, 225, 112.5, 60, 60, 60, 60, 120]
        assert shown(registry) == 0

    logging.disable(logging.CRITICAL)
    try:
        run(main())
    finally:
        logging.disable(logging.NOTSET)


def test_a_store_that_never_answers_fails_in_time():
    class Silent:
        async def account(self, window, *, held, seconds):
            await asyncio.Event().wait()

    async def main():
        registry = CollectorRegistry()
        assert await watch_of(Silent(), registry, seconds=0.01).look() is None
        assert failures(registry) == 1

    run(main())


def test_it_looks_again_and_again_until_its_block_ends():
    async def main():
        store = Answers(StoreError("away"))
        async with watch_of(store, CollectorRegistry(), every=0.001), store.asked:
            await store.asked.wait_for(lambda: len(store.windows) >= 3)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_a_store_that_will_not_be_cancelled_does_not_hold_up_the_end():
    class Stubborn(Answers):
        async def account(self, window, *, held, seconds):
            async with self.asked:
                self.windows.append(window)
                self.asked.notify_all()
            while not self.over.is_set():
                try:
                    await self.over.wait()
                except asyncio.CancelledError:
                    continue
            raise StoreError("at last")

    async def main():
        store = Stubborn()
        store.over = asyncio.Event()
        watch = watch_of(store, CollectorRegistry(), every=0.001)
        async with asyncio.timeout(10):
            async with watch, store.asked:
                await store.asked.wait_for(lambda: store.windows)
        store.over.set()

    run(main())


def test_a_watch_that_never_began_ends():
    async def main():
        await watch_of(Answers(), CollectorRegistry()).__aexit__(None, None, None)

    run(main())


@pytest.mark.parametrize("name", ["every", "span", "settle", "seconds"])
def test_a_time_that_is_none_is_refused(name):
    with pytest.raises(ConfigurationError, match="above 0"):
        GapWatch(None, registry=CollectorRegistry(), **{name: 0})


def test_in_a_real_store_what_is_young_or_old_is_no_gap(tmp_path):
    async def main():
        registry, clock = CollectorRegistry(), ManualClock(START.timestamp() + 100)
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            watch = GapWatch(store, registry=registry, clock=clock)
            await store.append([an_event(number) for number in (0, 1, 39, 45)])
            assert await watch.look() == 37
            clock.advance(60)
            assert await watch.look() == 37 + 5
            clock.advance(3600)
            assert await watch.look() == 0

    run(main())
