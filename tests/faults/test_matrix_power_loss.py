"""Fault matrix, row 3: the power goes at any call, and what was not synced is there or not, whole or torn."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.disk_replay import SYNCED, Disk, calls
from tests.faults.figures import show
from tests.faults.recorded_disk import FAST, Order, RecordedDisk, Said, settled
from tests.faults.tier import SEED, rounds

pytestmark = [pytest.mark.faults, pytest.mark.debian, pytest.mark.timeout(rounds(120, 3600))]
LIVES = rounds(10, 100)
CRASHES = rounds(40, 100)


@pytest.fixture(scope="module")
def work():
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def recorded(work):
    disk = RecordedDisk(work)
    yield disk
    disk.close()


def _points(found, chance, count):
    """Pick calls after which the power goes; half of them around a sync, where an acknowledgement is decided."""
    near = [place for place, call in enumerate(found) if call.kind == SYNCED]
    places = [chance.choice(near) + chance.choice([0, 1]) for _ in range(count // 2)]
    return sorted(places + [chance.randrange(len(found) + 1) for _ in range(count - len(places))])


def test_the_journal_holds_everything_that_the_process_did_to_its_disk(work, recorded):
    folder = work / "true"
    folder.mkdir()
    disk = Disk(folder)
    for seed in range(1, 4):
        assert recorded.run(Order(SEED % 10**6 + seed), folder, work / "journal").flows
        for call in calls(work / "journal"):
            disk.follow(call, random.Random(0))
        there = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert there.pop("SAID") == disk.said
        assert dict(disk.whole()) == there


def test_what_was_acknowledged_survives_the_loss_of_power(work, recorded, capsys):
    chance = random.Random(SEED)
    live, state, following, journal = work / "live", work / "state", work / "following", work / "journal"
    before = b""
    seen = Counter()
    live.mkdir()
    for life in range(LIVES):
        disk, at = Disk(live), 0
        assert recorded.run(Order(SEED % 10**6 + life), live, journal).flows
        found = calls(journal)
        # The next life starts from one of these, so that what recovery does is interrupted as well.
        chosen = chance.randrange(CRASHES)
        for number, point in enumerate(_points(found, chance, CRASHES)):
            for call in found[at:point]:
                disk.follow(call, chance)
            at = point
            disk.crash(chance, state)
            if number == chosen:
                shutil.copytree(state, following)
                heard = before + disk.said
            out = settled(state / "spool", Said(before + disk.said))
            where = f"TENAUDIT_SEED={SEED}, life {life}, call {point} of {len(found)}: {out.verdict}, {out[1:]}"
            assert out.verdict.holds, where
            # Nothing was damaged, and nothing may be called so.
            assert out[1:] == (0, 0), where
            seen += Counter(crashes=1, stored=len(out.verdict.stored), recovered=len(out.verdict.recovered))
        shutil.rmtree(live)
        following.rename(live)
        before = heard
    show(capsys, f"TENAUDIT_SEED={SEED}: power loss: {dict(seen)}, 0 lost, 0 unexpected, 0 duplicated")
    assert seen["crashes"] == LIVES * CRASHES >= 200
    assert min(seen["stored"], seen["recovered"]) > 0
