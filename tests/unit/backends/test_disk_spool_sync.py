"""The first syncs of a spool fail, one a run: whatever the power leaves of it, what was acknowledged is there."""

from __future__ import annotations

import errno
import random
import tempfile
from pathlib import Path

import pytest

from tests.faults.disk_replay import NOT_SYNCED
from tests.faults.recorded_disk import FAST, SYNC, Order, RecordedDisk, after_fault, fresh_run, only_logs_acknowledge

pytestmark = pytest.mark.debian


def test_a_sync_that_fails_while_the_spool_begins_is_no_false_acknowledgement():
    chance = random.Random(6)
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        work = Path(folder)
        recorded = RecordedDisk(work)
        try:
            for number in range(1, 17):
                _, found = fresh_run(work, recorded, Order(1, SYNC, number, 1, errno.EIO))
                assert sum(call.kind == NOT_SYNCED for call in found) == 1
                only_logs_acknowledge(found, f"sync {number}")
                assert after_fault(work, found, chance, 3, f"sync {number}")["stored"] > 0
        finally:
            recorded.close()
