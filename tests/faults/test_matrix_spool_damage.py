"""Fault matrix, row 4: a file of the spool is cut, or one of its bits flips: it starts, and counts what is gone."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from tenaudit.backends.spool import DiskSpool
from tests.faults.figures import show
from tests.faults.recorded_disk import FAST, Said, outcome
from tests.faults.spool_workload import OPTIONS
from tests.faults.tier import SEED, rounds
from tests.unit.backends.spool_events import events

pytestmark = [pytest.mark.faults, pytest.mark.timeout(rounds(120, 3600))]
TRIALS = rounds(1000, 10_000)
STATES = ("killed", "closed", "killed twice", "many segments")
SHARE_OF_MARKS = 0.1


async def _fill(spool, first, said, *, count, size):
    """Append *count* batches, take some of what is there, and note what was said of each event."""
    for start in range(first, first + count * 12, 12):
        batch = events(start, start + 12, "x" * size)
        await spool.append(batch)
        said += [f"ok {event.event_id}\n" for event in batch]
    for limit in (5, 10):
        batch = await spool.read(limit)
        said += [f"took {event.event_id}\n" for event in batch.events]
        await spool.ack(batch.token)
    return first + count * 12


async def _state(folder, name):
    """Lay a spool as a process left it; return what it had said."""
    said = []
    live = folder / f"{name} live"
    number = 0
    if name == "killed twice":
        spool = await DiskSpool.open(live, **OPTIONS)
        number = await _fill(spool, number, said, count=6, size=300)
        shutil.copytree(live, folder / "first life")
        await spool.close()
        live = folder / "first life"
    spool = await DiskSpool.open(live, **OPTIONS)
    size, count = (1800, 16) if name == "many segments" else (700, 9)
    await _fill(spool, number, said, count=count, size=size)
    if name != "closed":
        shutil.copytree(live, folder / name)
    await spool.close()
    if name == "closed":
        shutil.copytree(live, folder / name)
    return Said("".join(said).encode())


@pytest.fixture(scope="module")
def states():
    async def main(folder):
        return [(folder / name, await _state(folder, name)) for name in STATES]

    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        yield asyncio.run(main(Path(folder)))


def _victim(folder, chance, *, spare=()):
    """Choose a file by its size, as damage does, but a mark more often than that."""
    files = sorted(path for path in folder.iterdir() if path.stat().st_size and path.name not in spare)
    marks = [path for path in files if path.name.startswith("MARK")]
    if marks and chance.random() < SHARE_OF_MARKS:
        return chance.choice(marks)
    rest = [path for path in files if path not in marks]
    return chance.choices(rest, [path.stat().st_size for path in rest])[0]


def _flip(path, chance):
    data = bytearray(path.read_bytes())
    place = chance.randrange(len(data) * 8)
    data[place // 8] ^= 1 << (place % 8)
    path.write_bytes(data)


def _truncate(path, chance):
    os.truncate(path, chance.randrange(path.stat().st_size))


@pytest.mark.parametrize("harm", [_flip, _truncate], ids=["flip", "truncate"])
def test_one_damaged_file_never_stops_it_and_the_count_of_lost_events_is_exact(states, harm, capsys):
    chance = random.Random(f"{SEED} {harm.__name__}")
    seen = Counter()

    async def main():
        for number in range(TRIALS):
            original, said = states[number % len(states)]
            with tempfile.TemporaryDirectory(dir=FAST) as folder:
                spool = Path(shutil.copytree(original, Path(folder) / "spool"))
                victim = _victim(spool, chance)
                harm(victim, chance)
                out = await outcome(spool, said)
            where = f"TENAUDIT_SEED={SEED}, trial {number}, {original.name}, {victim.name}: {out.verdict}, {out[1:]}"
            lost = len(out.verdict.lost)
            # What a sink had taken before is out already: it may be among what the spool cannot give back again.
            assert out.reported_lost == lost, where
            assert not out.verdict.unexpected | out.verdict.duplicated, where
            assert (out.quarantined > 0) == (lost > 0), where
            seen.update(trials=1, lost=lost, stored=len(out.verdict.stored), harmless=lost == 0)

    asyncio.run(main())
    counted = "each lost one counted, 0 unexpected, 0 duplicated"
    show(capsys, f"TENAUDIT_SEED={SEED}: {harm.__name__[1:]}: {dict(seen)}, {counted}")
    assert seen["trials"] == TRIALS
    # Neither may be the rule, or nothing was tested.
    assert 0 < seen["harmless"] < TRIALS


@pytest.mark.parametrize("spare", [("MARK.a", "MARK.b"), ()], ids=["segments", "any"])
def test_several_damaged_files_at_once_never_stop_it(states, spare):
    chance = random.Random(f"{SEED} {len(spare)}")

    async def main():
        for number in range(rounds(60, 2000)):
            original, said = states[number % len(states)]
            with tempfile.TemporaryDirectory(dir=FAST) as folder:
                spool = Path(shutil.copytree(original, Path(folder) / "spool"))
                for _ in range(chance.randint(2, 5)):
                    chance.choice([_flip, _flip, _truncate])(_victim(spool, chance, spare=spare), chance)
                out = await outcome(spool, said)
            where = f"TENAUDIT_SEED={SEED}, trial {number}, {original.name}: {out.verdict}, {out[1:]}"
            assert not out.verdict.unexpected | out.verdict.duplicated, where
            if spare:
                assert out.reported_lost == len(out.verdict.lost), where

    asyncio.run(main())
