"""A process whose calls to the disk are recorded, and what must hold of a disk that it left."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest

from tenaudit.backends.spool import DiskSpool
from tenaudit.testing.ledger import Ledger, Verdict
from tests.faults.disk_replay import NOT_SYNCED, OPENED, SAID, WRITTEN, Call, Disk, calls
from tests.faults.spool_workload import AT_ONCE, NUMBERS, OPTIONS
from tests.unit.backends.spool_events import events

ROOT = Path(__file__).parents[2]
# In memory where there is such a folder: what the disk does is simulated, and there are thousands of them.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

# What the shim can make fail.
SYNC, WRITE = 1, 2


class Order(NamedTuple):
    """What the process is to do; see `spool_workload`."""

    seed: int
    kind: int = SYNC
    number: int = 0
    count: int = 0
    code: int = 0


class Answer(NamedTuple):
    """What it did: how often it synced and wrote, and whether the spool works at the end."""

    syncs: int
    writes: int
    flows: bool


class RecordedDisk:
    """Runs orders in one process, which starts once."""

    def __init__(self, work: Path) -> None:
        shim = work / "disk_shim.so"
        source = Path(__file__).with_name("disk_shim.c")
        compiler = shutil.which("gcc")
        if compiler is None or sys.platform != "linux":
            pytest.skip("the shim that records a disk needs gcc and Linux")
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", shim, source, "-ldl"], check=True, timeout=60)
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.spool_workload"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"LD_PRELOAD": str(shim), "PYTHONPATH": path},
        )

    def run(self, order: Order, folder: Path, journal: Path) -> Answer:
        """Carry out one order."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        seed, *fault = order
        process.stdin.write(f"{seed} {folder} {journal} {' '.join(map(str, fault))}\n")
        process.stdin.flush()
        syncs, writes, last = (process.stdout.readline() or "0 0 dead").split()
        assert last != "dead", f"the recorded process ended in {order}"
        return Answer(int(syncs), int(writes), last == "flows")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate(timeout=30)


class Said:
    """What the process said up to a crash: the ledger of its events, and what a sink had taken."""

    def __init__(self, said: bytes) -> None:
        lines = said.decode().splitlines(keepends=True)
        self.ledger = Ledger()
        self.ledger.read(lines)
        self.taken = dict.fromkeys(line.split()[1] for line in lines if line.startswith("took "))


class Outcome(NamedTuple):
    """What a spool gave back: what came out of it twice would be a verdict's duplicate."""

    verdict: Verdict
    reported_lost: int
    quarantined: int


async def outcome(spool_folder: Path, said: Said) -> Outcome:
    """Open what a crash left, take everything out, and see a fresh event through."""
    async with DiskSpool(spool_folder, **OPTIONS) as spool:
        out = [event.event_id async for event in _all(spool)]
        stats = spool.stats()
        [fresh] = events(NUMBERS - 1, NUMBERS)
        await spool.append([fresh])
        assert [event.event_id async for event in _all(spool)] == [fresh.event_id], "no fresh event flows"
        assert spool.stats().records == 0
    # The store has each once: what a sink took before and the spool gives again is no second row.
    taken = [UUID(one) for one in said.taken]
    again = set(out)
    came_out = out + [one for one in taken if one not in again]
    return Outcome(said.ledger.settle(came_out), stats.lost, stats.quarantined)


async def _all(spool: DiskSpool):
    while batch := await spool.read(500):
        for event in batch.events:
            yield event
        await spool.ack(batch.token)


def settled(spool_folder: Path, said: Said) -> Outcome:
    """Return `outcome`, from a test without a loop."""
    return asyncio.run(outcome(spool_folder, said))


def fresh_run(work: Path, recorded: RecordedDisk, order: Order) -> tuple[Answer, list[Call]]:
    """Carry out an order on an empty disk; return its answer and its calls."""
    shutil.rmtree(work / "disk", ignore_errors=True)
    (work / "disk").mkdir()
    answer = recorded.run(order, work / "disk", work / "journal")
    assert answer.flows, f"{order}: nothing flows after the fault"
    return answer, calls(work / "journal")


def after_fault(work: Path, found: list[Call], chance: random.Random, crashes: int, where: str) -> Counter[str]:
    """See that nothing is lost if the process dies at its end, nor if the power goes at any time after the fault."""
    outs = [settled(work / "disk" / "spool", Said((work / "disk" / "SAID").read_bytes()))]
    fault = next((place for place, call in enumerate(found) if call.kind == NOT_SYNCED), 0)
    disk, at = Disk(work / "disk", empty=True), 0
    for point in sorted(chance.randint(fault + 1, len(found)) for _ in range(crashes)):
        for call in found[at:point]:
            disk.follow(call, chance)
        at = point
        disk.crash(chance, work / "state")
        outs.append(settled(work / "state" / "spool", Said(disk.said)))
    for out in outs:
        assert out.verdict.holds, f"{where}: {out.verdict}"
        assert out[1:] == (0, 0), f"{where}: {out[1:]}"
    return Counter(stored=sum(len(out.verdict.stored) for out in outs), states=len(outs))


def only_logs_acknowledge(found: list[Call], where: str) -> None:
    """See that what is acknowledged is in a write-ahead log, never in a file that a rollback journal may undo."""
    segment, logged, said, early = "", True, -1, 0
    for call in found:
        if call.kind == OPENED and call.path.endswith(f"/{SAID}"):
            said = call.file
        elif call.kind == OPENED and call.path.endswith(".db") and call.flags & os.O_CREAT:
            segment, logged, early = call.path, False, 0
        elif call.kind == OPENED and call.path == f"{segment}-wal":
            logged = True
        elif call.kind == WRITTEN and call.file == said and call.data.startswith(b"ok") and not logged:
            # The spool's thread may have begun the next segment before the loop has said what the last commit held.
            early += 1
            assert early <= AT_ONCE, where
