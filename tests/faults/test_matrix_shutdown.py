"""Row 19: SIGTERM in the middle, two stops at once, forks while others emit: all is flushed or on disk."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer, ProducerStats
from tenaudit.backends.jsonl import JsonlSink
from tenaudit.backends.spool import DiskSpool
from tenaudit.testing.ledger import Ledger
from tenaudit.testing.scripted_sink import ScriptedSink
from tests.faults import forking_process, service_process
from tests.faults.tier import SEED, rounds
from tests.faults.traffic import Traffic
from tests.faults.virtual_time import run_virtual

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.name != "posix", reason="needs signals and fork"),
]

# Two seconds more with a sink that will not be cancelled; the rest is a busy machine's.
GRACE = 5.0


def trail_of(folder):
    path = Path(folder) / "trail.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def ids_of(records):
    return {uuid.UUID(record["event_id"]) for record in records}


def told_by(lines, word):
    return [line.split()[1:] for line in lines if line.startswith(f"{word} ")]


def terminated(folder, state, where, chance):
    """Run the service, end it at some moment, ask again in the middle of it, and return its lines and seconds."""
    command = [sys.executable, service_process.__file__, str(folder), state, where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as service:
        lines = []
        while lines[-1:] != ["ready\n"]:
            lines.append(service.stdout.readline())
            assert lines[-1], service.stderr.read()
        began, wait = time.monotonic(), chance.uniform(0, 0.3)
        while time.monotonic() < began + wait:
            lines.append(service.stdout.readline())
        began = time.monotonic()
        service.send_signal(signal.SIGTERM)
        lines.append(service.stdout.readline())
        service.send_signal(signal.SIGTERM)
        lines += service.stdout.readlines()
        errors = service.stderr.read()
        assert service.wait(timeout=30) == 0, errors
    assert "Traceback" not in errors
    return lines, time.monotonic() - began


async def follow(folder, note):
    """Be the next process of the service: take over the spool, and emit one event that is new."""
    sink, spool = JsonlSink(folder / "trail.jsonl"), DiskSpool(folder / "spool")
    async with AuditProducer(sink, service="orders", spool=spool, registry=CollectorRegistry()) as producer:
        fresh = Traffic(producer, note).emit()
        assert await producer.flush(30)
    assert spool.stats().records == 0
    return fresh


@pytest.mark.parametrize("state", ["well", "slow", "hung"])
def test_sigterm_in_the_middle_flushes_or_leaves_on_disk(state, tmp_path):
    for turn in range(rounds(1, 20)):
        ledger = Ledger()
        chance = random.Random(f"{SEED} {state} {turn}")
        folder = tmp_path / str(turn)
        folder.mkdir()
        lines, seconds = terminated(folder, state, "spool", chance)
        assert seconds < service_process.CLOSE_TIMEOUT + GRACE
        ledger.read(lines)
        ((*numbers,),) = told_by(lines, "stats")
        stats = ProducerStats(*map(int, numbers))
        accepted, refused = len(told_by(lines, "ok")), len(told_by(lines, "fail"))
        assert stats.emitted == accepted + refused == stats.delivered + stats.spooled + stats.dropped
        assert (stats.dropped, stats.queued) == (refused, 0)
        assert len(ids_of(trail_of(folder))) >= stats.delivered
        assert stats.spooled == 0 if state == "well" else stats.spooled > 0
        assert stats.delivered == 0 if state == "hung" else stats.delivered > 0
        fresh = asyncio.run(follow(folder, ledger.note))
        records = trail_of(folder)
        verdict = ledger.settle(ids_of(records))
        assert verdict.holds, str(verdict)
        assert len(verdict.stored) == accepted + 1
        assert records[-1]["event_id"] == str(fresh)
        numbers = list(dict.fromkeys(record["seq"] for record in records[:-1]))
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("state", ["well", "hung"])
def test_sigterm_without_a_spool_counts_exactly_what_it_gives_up(state, tmp_path):
    ledger = Ledger()
    lines, seconds = terminated(tmp_path, state, "memory", random.Random(f"{SEED} {state}"))
    assert seconds < service_process.CLOSE_TIMEOUT + GRACE
    ledger.read(lines)
    ((*numbers,),) = told_by(lines, "stats")
    stats = ProducerStats(*map(int, numbers))
    verdict = ledger.settle(ids_of(trail_of(tmp_path)))
    assert not verdict.unexpected
    assert (len(verdict.stored), stats.spooled, stats.queued) == (stats.delivered, 0, 0)
    # Dropped are those that the closed producer turned away, and those that it had taken and could not deliver.
    assert stats.dropped == len(told_by(lines, "fail")) + len(verdict.lost)
    assert stats.emitted == stats.delivered + stats.dropped
    assert not verdict.lost if state == "well" else verdict.lost


def test_workers_forked_while_others_emit_lose_nothing_and_share_no_account(tmp_path):
    workers = rounds(5, 100)
    done = subprocess.run(
        [sys.executable, forking_process.__file__, str(tmp_path / "trail.jsonl"), str(workers), str(SEED)],
        capture_output=True,
        text=True,
        timeout=rounds(100, 600),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines(keepends=True)
    ledger = Ledger()
    ledger.read(lines)
    records = trail_of(tmp_path)
    verdict = ledger.settle([uuid.UUID(record["event_id"]) for record in records])
    assert verdict.holds, str(verdict)
    seqs = defaultdict(list)
    for record in records:
        seqs[record["producer_id"]].append(record["seq"])
    accounts = {name: ProducerStats(*map(int, numbers)) for name, *numbers in told_by(lines, "stats")}
    assert accounts.keys() == seqs.keys()
    assert len(accounts) == workers + 1
    for name, stats in accounts.items():
        assert stats == (len(seqs[name]), len(seqs[name]), 0, 0, 0, 0)
        assert sorted(seqs[name]) == list(range(stats.emitted))


@pytest.mark.parametrize("ill", [False, True], ids=["well", "ill"])
def test_an_event_that_came_just_before_the_stop_goes_where_the_others_went(ill, tmp_path):
    async def main():
        sink, ledger = ScriptedSink(), Ledger()
        spool = DiskSpool(tmp_path / "spool")
        producer = AuditProducer(sink, service="orders", spool=spool, registry=CollectorRegistry())
        async with producer:
            traffic = Traffic(producer, ledger.note)
            sink.down = True
            await traffic.flow(5, 100)
            assert producer.stats().spooled > 0
            if not ill:
                sink.down = False
                assert await producer.flush(10)
            traffic.emit()
        return ledger, producer.stats(), [event.event_id for event in sink.events]

    ledger, stats, arrived = run_virtual(main())
    verdict = ledger.settle(arrived)
    assert (len(verdict.stored), len(verdict.lost)) == (stats.delivered, stats.spooled)
    assert stats == ((501, 0, 0, 0, 501, 0) if ill else (501, 501, 0, 0, 0, 0))
