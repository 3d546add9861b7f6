"""A consumer in a process of its own that a signal hits at a place told beforehand; `Topic.struck` starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from prometheus_client import CollectorRegistry

from tenaudit.audit.consumer import Consumer, ConsumerOptions
from tenaudit.backends.kafka import KafkaSource
from tenaudit.backends.postgres import PostgresStore
from tests.faults.ingest_line import REBALANCE, SESSION
from tests.unit.audit.consumer_parts import MemoryDeadLetters

PLACES = ("before_append", "after_commit", "during_commit")


class Blow:
    """Hits the process once, at the nth arrival at its place."""

    def __init__(self, name, place, nth):
        self.signal, self.place, self.left = getattr(signal, name), place, nth

    def at(self, place):
        self.left -= place == self.place
        if place == self.place and self.left == 0:
            os.kill(os.getpid(), self.signal)


class StruckStore:
    """The store with a place before its transaction and one after its COMMIT, whose answer nobody has seen yet."""

    def __init__(self, store, blow):
        self.store, self.blow = store, blow

    async def append(self, events):
        self.blow.at("before_append")
        result = await self.store.append(events)
        self.blow.at("after_commit")
        return result


class StruckSource(KafkaSource):
    """The source with a place where an offset is on its way, and a word on what became of each commit."""

    def __init__(self, *args, blow, steps, **options):
        super().__init__(*args, **options)
        self.blow, self.steps = blow, steps

    async def commit(self, epoch, offsets):
        committing = asyncio.ensure_future(super().commit(epoch, offsets))
        for _ in range(self.steps):
            # One turn of the loop, and not some time.
            await asyncio.sleep(0)
        self.blow.at("during_commit")
        kept = await committing
        print("kept" if kept else "refused", flush=True)  # noqa: T201 - what the test waits for
        return kept


async def main(name, place, nth, steps, servers, topic, dsn):
    blow = Blow(name, place, int(nth))
    bounds = {"session_timeout": SESSION, "rebalance_timeout": REBALANCE}
    source = StruckSource(servers, topic, group=topic, blow=blow, steps=int(steps), **bounds)
    options = ConsumerOptions(batch_size=20, poll=0.1, longest_pause=0.2)
    # Not opened here: that would be one try, and a consumer makes as many as it takes.
    struck = StruckStore(PostgresStore.connect(dsn), blow)
    await Consumer(source, struck, MemoryDeadLetters(), options=options, registry=CollectorRegistry()).run()


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 120))
