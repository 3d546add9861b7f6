"""The child of the kill loop: three producers with a spool each and one store, emitting until they are killed.

Says on standard output, one line each: `alive <pid>` and `ended <code>` of each life, `info <key> <producer> <number>`
before an event is emitted, `ok <key>` and `fail <key>` once its producer says what became of it, `at <place>` wherever
a kill is of interest, and `closed <producer> <emitted> <delivered> <dropped> <spooled> <metric>` for each producer that
closed. A key is chosen here, before the event has an id, and travels as its resource.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
import traceback
from uuid import UUID

from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer, DeliveryUnknown, EmitRejected
from tenaudit.backends.spool import DiskSpool
from tenaudit.backends.sqlite import SqliteSink, SqliteStore
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.conformance.events import TENANT
from tests.faults.told_parts import ToldSink, ToldSpool, tell

CONTEXT = SecurityContext(TENANT, Actor("u-1"), frozenset(), TraceContext("0" * 31 + "1", None, False))
SPOOL = {"segment_bytes": 64 * 1024, "max_bytes": 2**24, "reserve_bytes": 0}
# Tight ones, so that all that can happen does: memory runs full, spills, drops, and is left over at the end.
PRODUCERS = (
    {"overflow": "spool", "capacity": 64, "batch_size": 20, "spool_after": 0.05},
    {"overflow": "drop", "capacity": 24, "batch_size": 10, "spool_after": 0.02},
    {"overflow": "drop", "capacity": 200, "batch_size": 50, "spool_after": 5.0},
)


def dropped_by_metric(registry: CollectorRegistry) -> int:
    """Return what the metric of dropped events says, over every reason."""
    samples = [one for family in registry.collect() for one in family.samples]
    return int(sum(one.value for one in samples if one.name == "audit_events_dropped_total"))


class Emitter:
    """One producer, and what is said of its events."""

    def __init__(self, number: int, folder: str, store: SqliteStore, chance: random.Random) -> None:
        self.chance = chance
        self.sink = ToldSink(SqliteSink(store))
        self.registry = CollectorRegistry()
        self.producer = AuditProducer(
            self.sink,
            service=f"service-{number}",
            spool=ToldSpool(DiskSpool(f"{folder}/spool-{number}", **SPOOL)),
            linger=0.001,
            close_timeout=1.0,
            write_timeout=1.0,
            registry=self.registry,
            account_tenant=TENANT,
            **PRODUCERS[number],
        )
        self.emitted = 0

    def about_to(self) -> dict:
        """Say which event comes next, and return the arguments that make it."""
        key = UUID(int=self.chance.getrandbits(128))
        tell(f"info {key} {self.producer.producer_id} {self.emitted}")
        self.emitted += 1
        return {"resource_type": "order", "resource_id": str(key), "context": CONTEXT, "payload": {"t": self.text()}}

    def text(self) -> str:
        return "x" * self.chance.choice([0, 20, 1500])

    def emit(self, count: int) -> None:
        for _ in range(count):
            event = self.about_to()
            if self.producer.emit("order.created", **event).status == "dropped":
                tell(f"fail {event['resource_id']}")
        tell("at emit")

    async def emit_durable(self) -> None:
        event = self.about_to()
        try:
            await self.producer.emit_durable("order.created", **event, deadline=0.5)
        except DeliveryUnknown:
            return
        except EmitRejected:
            tell(f"fail {event['resource_id']}")
        else:
            tell(f"ok {event['resource_id']}")

    async def work(self, rounds: int) -> None:
        for _ in range(rounds):
            self.sink.down = self.chance.random() < 0.4
            self.emit(self.chance.choice([1, 5, 30]))
            await asyncio.gather(*(self.emit_durable() for _ in range(self.chance.choice([0, 1, 4]))))
            await asyncio.sleep(self.chance.choice([0, 0.001, 0.02]))
        self.sink.down = self.chance.random() < 0.5

    async def end(self) -> None:
        tell("at close")
        await self.producer.close()
        stats = self.producer.stats()
        assert stats.emitted == self.emitted
        assert stats.queued == 0
        tell(
            f"closed {self.producer.producer_id} {stats.emitted} {stats.delivered} {stats.dropped} {stats.spooled}"
            f" {dropped_by_metric(self.registry)}"
        )


async def main(folder: str, seed: str) -> None:
    async with SqliteStore.open(f"{folder}/audit.db") as store:
        chance = random.Random(seed)
        emitters = [Emitter(number, folder, store, random.Random(chance.random())) for number in range(len(PRODUCERS))]
        for one in emitters:
            await one.producer.__aenter__()
        await asyncio.gather(*(one.work(12) for one in emitters))
        await asyncio.gather(*(one.end() for one in emitters))


def live(folder: str, seed: str) -> None:
    """Be one life, in a process of its own."""
    tell(f"alive {os.getpid()}")
    code = 1
    try:
        asyncio.run(main(folder, seed))
        code = 0
    finally:
        # Never back into the loop of the process that all lives are forked from.
        if code:
            traceback.print_exc()
        os._exit(code)


if __name__ == "__main__":
    # Everything is imported once: an order is a line `<folder> <seed>`, a life is a fork that has opened nothing yet.
    logging.disable()
    for order in sys.stdin:
        if not (pid := os.fork()):
            live(*order.split())
        tell(f"ended {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
