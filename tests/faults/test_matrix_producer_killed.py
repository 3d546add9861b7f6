"""Fault matrix, row 1: `kill -9` of producers, anywhere: nothing acknowledged is lost, the gap is the oracle's."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer, AuditQuery
from tenaudit.audit.producer_rows import AccountWindow
from tenaudit.audit.reckoning import Elsewhere, reckon
from tenaudit.backends.spool import DiskSpool
from tenaudit.backends.sqlite import SqliteSink, SqliteStore
from tenaudit.testing.conformance.events import TENANT
from tenaudit.testing.ledger import Ledger
from tests.faults.figures import show
from tests.faults.killed_producers import CONTEXT, PRODUCERS, SPOOL
from tests.faults.tier import SEED, rounds

pytestmark = [pytest.mark.faults, pytest.mark.timeout(rounds(300, 7200))]
ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
# Two at a time: while one comes to its end, the other works.
LINES = 2
KILLS = rounds(40, 1000)
PLACES = ("info", "ok", "emit", "append", "read", "ack", "write", "written", "close", "sink close", "spool close")
# A life is over long before; one that is not must not hold the test.
WITHIN = 60.0


@dataclass
class Heard:
    """What all children of one line said."""

    ledger: Ledger = field(default_factory=Ledger)
    numbers: dict[str, dict[int, UUID]] = field(default_factory=dict)
    closed: dict[str, list[int]] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)

    def read(self, line: str) -> None:
        self.ledger.read([line])
        word, *rest = line.split()
        if word == "info":
            key, producer, number = rest
            self.numbers.setdefault(producer, {})[int(number)] = UUID(key)
        elif word == "closed":
            self.closed[rest[0]] = [int(one) for one in rest[1:]]


@contextmanager
def _mother():
    """Run the process that the lives are forked from."""
    command = [sys.executable, "-m", "tests.faults.killed_producers"]
    mother = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=ENVIRONMENT
    )
    try:
        yield mother
    finally:
        mother.kill()
        mother.communicate()


def _kill(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _one_life(mother, heard, order, place, times, wait):
    """Start a life and kill it after it came to *place* so many times and *wait* seconds; it may have ended before."""
    mother.stdin.write(f"{order}\n")
    alive, pid = mother.stdout.readline().split()
    assert alive == "alive"
    watchdog = threading.Timer(WITHIN, _kill, [int(pid)])
    watchdog.start()
    for line in mother.stdout:
        word, *rest = line.split()
        if word == "ended":
            break
        heard.read(line)
        if place in (word, " ".join(rest)):
            times -= 1
            if times == 0:
                # Not to wait for something: to hit whatever comes next, at any instruction of it.
                time.sleep(wait)
                _kill(int(pid))
    hung = not watchdog.is_alive()
    watchdog.cancel()
    assert not hung, f"{order} hung"
    assert rest[0] in ("0", str(-signal.SIGKILL)), f"{order} ended with {rest[0]}"
    heard.kills[place if rest[0] != "0" else "none"] += 1


def _lives(folder, line):
    """Kill and start anew until there were enough kills; every fifth life ends by itself."""
    heard, chance, life = Heard(), random.Random(f"{SEED} {line}"), 0
    often = {"info": 300, "ok": 30, "write": 25, "written": 15, "append": 15, "emit": 25, "read": 12, "ack": 10}
    folder.mkdir()
    with _mother() as mother:
        while heard.kills.total() - heard.kills["none"] < KILLS // LINES:
            place = "never" if life % 5 == 4 else chance.choice(PLACES)
            times = chance.randint(1, often.get(place, len(PRODUCERS)))
            wait = chance.choice([0, 0.0002, 0.001, 0.005])
            _one_life(mother, heard, f"{folder} {SEED}-{line}-{life}", place, times, wait)
            life += 1
            assert life < 4 * KILLS, heard.kills
    return heard


async def _drain(folder, store):
    """Carry what the spools hold into the store, as a sink would; return how many they say are lost."""
    lost = 0
    for number in range(len(PRODUCERS)):
        async with DiskSpool(folder / f"spool-{number}", **SPOOL) as spool:
            while batch := await spool.read(500):
                await SqliteSink(store).write(batch.events)
                await spool.ack(batch.token)
            lost += spool.stats().lost
    return lost


async def _keys(store):
    """Return the key of every row, as often as there is one, and each with its producer and number."""
    query, rows = AuditQuery(TENANT, limit=500), []
    while True:
        page = await store.search(query)
        rows += [one for one in page.events if one.resource_type == "order"]
        if page.next_cursor is None:
            return [(UUID(one.resource_id), one.producer_id, one.seq) for one in rows]
        query = query.at(page.next_cursor)


async def _settled(folder, heard):
    """Drain, and hold the store and its account against what was heard."""
    async with SqliteStore.open(folder / "audit.db") as store:
        assert await _drain(folder, store) == 0
        rows = await _keys(store)
        verdict = heard.ledger.settle([key for key, _, _ in rows])
        assert verdict.holds, verdict
        for key, producer, number in rows:
            assert heard.numbers[producer][number] == key
        told = reckon((await store.account(AccountWindow(), held={}, seconds=60)).rows, AccountWindow(), Elsewhere())
        assert (await store.verify()).verified
        await _flows(folder, store)
    by_producer = {row.producer_id: row for row in told.rows}
    gaps = Counter()
    for producer, numbers in heard.numbers.items():
        stored = {number for _, whose, number in rows if whose == producer}
        row = by_producer.get(producer)
        if producer in heard.closed:
            emitted, _, dropped, _, metric = heard.closed[producer]
            assert emitted == len(numbers)
            assert dropped == metric == emitted - len(stored), (producer, heard.closed[producer], len(stored))
            if row is not None and row.closed:
                assert (row.balanced, row.dropped, row.missing) == (True, dropped, 0), row
                gaps["balanced"] += 1
            gaps["closed"] += 1
        elif stored:
            # What a killed producer did not get out is a gap below its last event that did, and exactly that.
            gap = sum(number < max(stored) for number in numbers.keys() - stored)
            if not row.closed:
                assert row.missing == gap, (row, gap)
            gaps["gap"] += gap
            gaps["killed"] += 1
    return verdict, gaps


async def _flows(folder, store):
    """See a fresh event through each spool, from disk to store, after all that was done to it."""
    for number in range(len(PRODUCERS)):
        spool = DiskSpool(folder / f"spool-{number}", **SPOOL)
        async with AuditProducer(
            SqliteSink(store), service="fresh", spool=spool, registry=CollectorRegistry()
        ) as producer:
            result = await producer.emit_durable("order.created", resource_id=f"fresh-{number}", context=CONTEXT)
            assert result.status == "accepted"
    assert (await store.search(AuditQuery(TENANT, limit=1))).events[0].resource_id == f"fresh-{len(PRODUCERS) - 1}"


def test_producers_killed_anywhere_lose_nothing_that_was_acknowledged(capsys):
    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(LINES) as pool:
        lives = [pool.submit(_lives, Path(work) / str(line), line) for line in range(LINES)]
        kills = Counter()
        for line, life in enumerate(lives):
            heard = life.result()
            verdict, gaps = asyncio.run(_settled(Path(work) / str(line), heard))
            kills += heard.kills
            show(capsys, f"line {line}: {verdict}; {dict(gaps)}")
            assert min(gaps["closed"], gaps["balanced"], gaps["killed"], gaps["gap"]) > 0, gaps
    show(capsys, f"TENAUDIT_SEED={SEED}: killed at {dict(kills)}")
    assert kills.total() - kills["none"] >= KILLS
