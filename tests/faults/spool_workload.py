"""The child whose disk is recorded: appends, reads, acknowledges and opens anew, as its parent's orders say.

An order is a line `<seed> <folder> <journal> <kind> <number> <count> <errno>`: a fresh run in *folder*, whose calls of
*kind* fail from *number* on, *count* times. The answer is a line with how often each kind was called. What became of
each event is in the file SAID of the folder, one line an answer, for the ledger of the parent.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import random
import sys

from tenaudit.audit import SpoolError
from tenaudit.backends.spool import DiskSpool
from tests.unit.backends.spool_events import events

OPTIONS = {"segment_bytes": 64 * 1024, "max_bytes": 4 * 2**20, "reserve_bytes": 0}
# Orders apart from each other by more numbers than one of them uses.
NUMBERS = 100_000
STEPS = 24
# Appends that share a commit.
AT_ONCE = 3
KINDS = (1, 2)


class Workload:
    """One run: what it does follows from its seed alone."""

    def __init__(self, folder: str, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.number = seed * NUMBERS
        self.said = os.open(f"{folder}/SAID", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(self, word: str, batch: list) -> None:
        # One write, so that the file holds whole answers.
        os.write(self.said, "".join(f"{word} {event.event_id}\n" for event in batch).encode())

    async def append(self, spool: DiskSpool, count: int, size: int) -> bool:
        batch = events(self.number, self.number + count, "x" * size)
        self.number += count
        self.say("info", batch)
        try:
            await spool.append(batch)
        except SpoolError:
            return False
        self.say("ok", batch)
        return True

    async def take(self, spool: DiskSpool, limit: int) -> int:
        try:
            batch = await spool.read(limit)
            # From here on the sink has them, whatever becomes of the acknowledgement.
            self.say("took", list(batch.events))
            await spool.ack(batch.token)
        except SpoolError:
            return -1
        return len(batch.events)

    async def step(self, spool: DiskSpool) -> None:
        what, chance = self.chance.random(), self.chance
        if what < 0.35:
            await self.append(spool, chance.choice([1, 1, 3, 8]), chance.choice([0, 100, 3000]))
        elif what < 0.5:
            # They share a commit.
            sizes = [(chance.choice([1, 5]), chance.choice([50, 1500])) for _ in range(AT_ONCE)]
            await asyncio.gather(*(self.append(spool, *size) for size in sizes))
        elif what < 0.6:
            await self.append(spool, 30, 1500)
        elif what < 0.9:
            await self.take(spool, chance.choice([1, 10, 40]))
        else:
            while await self.take(spool, 100) > 0:
                pass

    async def run(self) -> None:
        for _ in range(3):
            spool = DiskSpool(f"{self.folder}/spool", **OPTIONS)
            for _ in range(STEPS // 3):
                await self.step(spool)
            await spool.close()

    async def fresh(self) -> bool:
        """Tell whether the spool takes and gives back, now that nothing fails any more."""
        async with DiskSpool(f"{self.folder}/spool", **OPTIONS) as spool:
            return await self.append(spool, 5, 100) and await self.take(spool, 5) > 0


def main() -> None:
    shim = ctypes.CDLL(None)
    shim.disk_calls.restype = ctypes.c_long
    shim.disk_fail.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_long, ctypes.c_int]
    logging.disable()
    for line in sys.stdin:
        seed, folder, journal, kind, number, count, code = line.split()
        shim.disk_begin(folder.encode(), journal.encode())
        work = Workload(folder, int(seed))
        shim.disk_fail(int(kind), int(number), int(count), int(code))
        asyncio.run(work.run())
        done = [shim.disk_calls(one) for one in KINDS]
        shim.disk_fail(int(kind), 0, 0, 0)
        flows = asyncio.run(work.fresh())
        os.close(work.said)
        shim.disk_begin(b"", b"")
        print(*done, "flows" if flows else "stuck", flush=True)  # noqa: T201 - what the parent waits for


if __name__ == "__main__":
    main()
