"""Fault matrix, row 6: any one fsync fails with EIO, or any one write: no false acknowledgement, and it goes on."""

from __future__ import annotations

import errno
import os
import random
import tempfile
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from tests.faults.disk_replay import CLOSED, NOT_SYNCED, OPENED, REMOVED, SYNCED, WRITTEN
from tests.faults.figures import show
from tests.faults.recorded_disk import (
    FAST,
    SYNC,
    WRITE,
    Order,
    RecordedDisk,
    after_fault,
    fresh_run,
    only_logs_acknowledge,
)
from tests.faults.tier import SEED, rounds

pytestmark = [pytest.mark.faults, pytest.mark.debian, pytest.mark.timeout(rounds(120, 3600))]
FOR_GOOD = 10**6
CRASHES = rounds(2, 10)


@pytest.fixture(scope="module")
def work():
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def recorded(work):
    disk = RecordedDisk(work)
    yield disk
    disk.close()


@pytest.mark.parametrize("times", [1, 2, FOR_GOOD], ids=["once", "twice", "until-healed"])
def test_whichever_sync_fails_nothing_is_acknowledged_that_is_not_on_disk(work, recorded, times, capsys):
    chance = random.Random(f"{SEED} {times}")
    seen = Counter()
    for run in range(rounds(1, 20)):
        seed = SEED % 10**6 + run
        for number in count(1, 1 if times == 1 else rounds(4, 1)):
            _, found = fresh_run(work, recorded, Order(seed, SYNC, number, times, errno.EIO))
            if not any(call.kind == NOT_SYNCED for call in found):
                break
            where = f"TENAUDIT_SEED={SEED}, run {seed}, sync {number}, {times} times"
            _sealed_after_failed_commit(found, where)
            _written_again_before_it_is_moved(found, where)
            only_logs_acknowledge(found, where)
            seen += after_fault(work, found, chance, CRASHES, where) + Counter(faults=1)
    show(capsys, f"TENAUDIT_SEED={SEED}: fsync, {times}: {dict(seen)}, 0 lost, 0 unexpected, 0 duplicated")
    assert seen["stored"] > seen["faults"] > rounds(20, 400)


def _sealed_after_failed_commit(found, where):
    """See that nothing more is written into a log whose commit could not be synced."""
    logs, dirty, sealed = {}, set(), {}
    for place, call in enumerate(found):
        if call.kind in (OPENED, CLOSED):
            logs.pop(call.file, None)
            sealed.pop(call.file, None)
            dirty.discard(call.file)
            if call.kind == OPENED and call.path.endswith("-wal"):
                logs[call.file] = call.path
        elif call.file not in logs:
            continue
        elif call.kind == WRITTEN:
            between = [one[:5] for one in found[sealed.get(call.file, 0) : place + 1]]
            assert call.file not in sealed, f"{where}: {logs[call.file]} is written again: {between}"
            dirty.add(call.file)
        elif call.kind == SYNCED:
            dirty.discard(call.file)
        elif call.kind == NOT_SYNCED and call.file in dirty:
            sealed[call.file] = place


def _written_again_before_it_is_moved(found, where):
    """See that what a failed sync may have kept from the disk is on disk before a database is changed with it."""
    files, failed, unsure, again = {}, set(), set(), set()
    for call in found:
        path = files.get(call.file, "")
        if call.kind == OPENED:
            files[call.file] = call.path
        elif call.kind == CLOSED:
            # As long as it is open SQLite knows where the last whole commit ends, and moves no more.
            unsure |= failed & {files.pop(call.file, "")}
        elif call.kind == REMOVED:
            failed.discard(call.path)
            unsure.discard(call.path)
        elif call.kind == NOT_SYNCED and path.endswith("-wal"):
            failed.add(path)
            again.discard(path)
        elif call.kind == WRITTEN and path in unsure and call.offset == 0:
            again.add(path)
        elif call.kind == SYNCED and path in again:
            failed.discard(path)
            again.discard(path)
            unsure.discard(path)
        elif call.kind == WRITTEN and path.endswith(".db"):
            assert f"{path}-wal" not in unsure, f"{where}: {path} is changed with what may not be on disk"


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_whichever_write_fails_nothing_is_acknowledged_that_is_not_on_disk(work, recorded, code, capsys):
    chance = random.Random(f"{SEED} {code}")
    seen = Counter()
    for run in range(rounds(1, 10)):
        seed = SEED % 10**6 + 500 + run
        total = fresh_run(work, recorded, Order(seed))[0].writes
        step = rounds(5, 1)
        for number in range(1 + chance.randrange(step), total + 1, step):
            _, found = fresh_run(work, recorded, Order(seed, WRITE, number, chance.choice([1, 3, FOR_GOOD]), code))
            where = f"TENAUDIT_SEED={SEED}, run {seed}, write {number} of {total}, {os.strerror(code)}"
            seen += after_fault(work, found, chance, CRASHES, where) + Counter(faults=1)
    show(capsys, f"TENAUDIT_SEED={SEED}: write: {dict(seen)}, 0 lost, 0 unexpected, 0 duplicated")
    assert seen["stored"] > 0
