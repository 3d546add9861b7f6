"""The child of the full-disk row: one producer whose spool finds no room, then room again, twice.

Arguments: the folder of the spool, and how its disk gets full: `limit` (no file may grow) or `filler` (the folder is a
small disk, and a file takes what is left of it). Says `info`, `ok` and `fail` of each event as the ledger reads it,
`out <key>` of each that came out of the sink, and the account at the end.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path
from uuid import UUID

from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer, DeliveryUnknown, EmitRejected, SpoolError
from tenaudit.backends.spool import DiskSpool
from tenaudit.testing.scripted_sink import ScriptedSink
from tests.faults.killed_producers import CONTEXT, dropped_by_metric
from tests.faults.told_parts import tell

WITHIN = 30.0
# The way over the spool may still be open in the moment after it became empty.
TAKEN = ("accepted", "spooled")
TEXT = "x" * 700


class Limited:
    """A disk on which no file may grow beyond a page."""

    def __init__(self, folder: Path) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, self._before[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


class Filled:
    """A small disk that something else fills to the last byte."""

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self) -> None:
        with self._filler.open("ab", buffering=0) as file:
            try:
                while file.write(b"x" * 512):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        self._filler.unlink()


class Run:
    """The producer, its spool and its sink."""

    def __init__(self, folder: Path) -> None:
        self.sink = ScriptedSink()
        self.spool = DiskSpool(folder / "spool", segment_bytes=64 * 1024, max_bytes=2**24, reserve_bytes=0)
        self.registry = CollectorRegistry()
        self.producer = AuditProducer(
            self.sink,
            service="orders",
            spool=self.spool,
            overflow="spool",
            capacity=60,
            batch_size=20,
            linger=0.001,
            spool_after=0.05,
            registry=self.registry,
        )
        self._keys = count(1)

    def event(self) -> dict:
        key = UUID(int=next(self._keys))
        tell(f"info {key}")
        return {"resource_id": str(key), "payload": {"t": TEXT}, "context": CONTEXT}

    def emit(self) -> bool:
        """Emit one; False when it was dropped."""
        event = self.event()
        status = self.producer.emit("order.created", **event).status
        if status == "dropped":
            tell(f"fail {event['resource_id']}")
        return status == "accepted"

    async def durable(self, deadline: float) -> str:
        event = self.event()
        try:
            result = await self.producer.emit_durable("order.created", **event, deadline=deadline)
        except DeliveryUnknown:
            return "unknown"
        except EmitRejected as error:
            tell(f"fail {event['resource_id']}")
            return error.reason
        tell(f"ok {event['resource_id']}")
        return result.status

    async def until(self, true) -> None:
        """Wait until *true*; nothing here happens at a time that is known."""
        async with asyncio.timeout(WITHIN):
            while not true():  # noqa: ASYNC110 - no event tells of these
                await asyncio.sleep(0.005)

    async def emit_until_dropped(self, drops: int) -> None:
        dropped = 0
        async with asyncio.timeout(WITHIN):
            while dropped < drops:
                dropped += not self.emit()
                await asyncio.sleep(0.001)

    async def full(self, disk: Limited | Filled) -> None:
        """The sink is down and the disk full: the policy drops, and counts; then the sink comes back to a full disk."""
        self.sink.down = True
        spooled = [await self.durable(WITHIN) for _ in range(100)]
        assert set(spooled) == {"spooled"}, set(spooled)
        disk.fill()
        before = self.producer.stats()
        await self.emit_until_dropped(40)
        assert await self.durable(0.2) in ("queue_full", "unknown")
        stats = self.producer.stats()
        assert stats.dropped - before.dropped >= 40
        assert stats.queued > 0
        assert dropped_by_metric(self.registry) == stats.dropped

    async def acknowledged_while_full(self) -> None:
        files = len(list(self.spool._folder.glob("*.db")))
        self.sink.down = False
        assert await self.producer.flush(WITHIN)
        # Reading, acknowledging and removing need no room.
        assert self.spool.stats().records == 0
        assert len(list(self.spool._folder.glob("*.db"))) < files
        assert await self.durable(WITHIN) in TAKEN

    async def resumes(self, disk: Limited | Filled) -> None:
        """Space is free again, and nobody does anything about it."""
        disk.free()
        before = self.producer.stats().spooled
        await self.until(lambda: self.producer.stats().spooled > before)
        await self.until(lambda: self.producer.stats().queued == 0)
        assert await self.durable(WITHIN) == "spooled"


async def main(folder: str, how: str) -> None:
    logging.disable()
    run = Run(Path(folder))
    disk = {"limit": Limited, "filler": Filled}[how](Path(folder))
    async with run.producer:
        await run.full(disk)
        await run.acknowledged_while_full()
        disk.free()
        await run.full(disk)
        with suppress(SpoolError):
            # What a full disk has taken is still given back.
            assert (await run.spool.read(1)).events
        await run.resumes(disk)
        run.sink.down = False
        assert await run.producer.flush(WITHIN)
        assert await run.durable(WITHIN) in TAKEN
    for event in run.sink.events:
        tell(f"out {event.resource_id}")
    stats = run.producer.stats()
    tell(f"account {stats.emitted} {stats.delivered} {stats.dropped} {stats.spooled} {stats.queued}")
    tell(f"metric {dropped_by_metric(run.registry)}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
