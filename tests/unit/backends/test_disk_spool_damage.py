"""Damaged spool files: it always starts, gives back what is whole, and counts exactly what is not."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest

from tenaudit.audit import SpoolError
from tenaudit.backends.spool import DiskSpool
from tests.unit.backends.spool_events import drained, events

OPTIONS = {"segment_bytes": 64 * 1024, "max_bytes": 2**20, "reserve_bytes": 0}
# In memory where there is such a folder: nothing here depends on the disk, and it is synced thousands of times.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# A thousand of each are in the fault matrix.
TRIALS = 250


@pytest.fixture(scope="module")
def originals():
    """Two spools: one as a killed process leaves it, with a log, and one that was closed."""
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        yield {name: _filled(Path(folder) / name, name) for name in ("killed", "closed")}


def _filled(folder, name):
    async def main():
        spool = await DiskSpool.open(folder / "live", **OPTIONS)
        for start in range(0, 105, 15):
            await spool.append(events(start, start + 15, "x" * 900))
        for number in range(105, 110):
            await spool.append(events(number, number + 1))
        batch = await spool.read(10)
        await spool.ack(batch.token)
        if name == "killed":
            shutil.copytree(folder / "live", folder / "copy")
        await spool.close()
        if name == "closed":
            shutil.copytree(folder / "live", folder / "copy")

    asyncio.run(main())
    return folder / "copy"


async def _outcome(original, folder, harm, *, live=True):
    """Harm a copy of a spool, take everything out of it, and return the numbers and what it says it lost."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original, folder)
    harm(folder)
    async with DiskSpool(folder, **OPTIONS) as spool:
        numbers = await drained(spool, 50)
        if live:
            await spool.append(events(1000, 1003))
            assert await drained(spool) == [1000, 1001, 1002]
        stats = spool.stats()
        assert stats.records == 0
        return numbers, stats


def _check(original, harms):
    async def main():
        seen = []
        with tempfile.TemporaryDirectory(dir=FAST) as folder:
            for number, harm in enumerate(harms):
                numbers, stats = await _outcome(original, Path(folder) / "spool", harm, live=number % 10 == 0)
                assert numbers == sorted(set(numbers)), number
                assert set(numbers) <= set(range(10, 110)), number
                assert stats.lost == 100 - len(numbers), number
                assert (stats.quarantined > 0) == (stats.lost > 0), number
                seen.append(stats.lost)
        return seen

    return asyncio.run(main())


def _segments(folder):
    return sorted(path for path in folder.iterdir() if ".db" in path.name)


def _flip(chance):
    def harm(folder):
        path = chance.choice([path for path in _segments(folder) if path.stat().st_size])
        data = bytearray(path.read_bytes())
        place = chance.randrange(len(data) * 8)
        data[place // 8] ^= 1 << (place % 8)
        path.write_bytes(data)

    return harm


def _truncate(chance):
    def harm(folder):
        path = chance.choice([path for path in _segments(folder) if path.stat().st_size])
        os.truncate(path, chance.randrange(path.stat().st_size))

    return harm


@pytest.mark.parametrize("state", ["killed", "closed"])
@pytest.mark.parametrize("harm", [_flip, _truncate], ids=["flip", "truncate"])
def test_any_flipped_bit_and_any_truncation_is_survived_and_counted(originals, state, harm):
    chance = random.Random(f"{state} {harm.__name__}")
    lost = _check(originals[state], [harm(chance) for _ in range(TRIALS // 2)])
    # Most bits are inside one record, and a file that was cut misses many.
    assert sum(count == 1 if harm is _flip else count > 1 for count in lost) > TRIALS // 20


def test_every_first_byte_of_a_file_may_be_the_last(originals):
    size = len(_segments(originals["closed"])[0].read_bytes())
    harms = [lambda folder, cut=cut: os.truncate(_segments(folder)[0], cut) for cut in (0, 1, 99, 100, 4096, size - 1)]
    assert _check(originals["closed"], harms)[:4] == [_held(originals["closed"])] * 4


def _held(folder):
    """Return how many records of the first segment were not acknowledged."""
    return int(_segments(folder)[1].name[:20]) - 1 - 10


@pytest.mark.parametrize("state", ["killed", "closed"])
def test_a_segment_that_is_gone_is_counted(originals, state):
    count = len({path.name[:20] for path in _segments(originals[state])})

    def remove(number):
        def harm(folder):
            first = sorted({path.name[:20] for path in _segments(folder)})[number]
            for path in _segments(folder):
                if path.name.startswith(first):
                    path.unlink()

        return harm

    def remove_all(folder):
        for path in _segments(folder):
            path.unlink()

    async def main():
        with tempfile.TemporaryDirectory(dir=FAST) as folder:
            total = 0
            for number in range(count):
                numbers, stats = await _outcome(originals[state], Path(folder) / "spool", remove(number))
                assert stats.lost == 100 - len(numbers) > 0
                total += stats.lost
            assert total == 100
            numbers, stats = await _outcome(originals[state], Path(folder) / "spool", remove_all)
            assert (numbers, stats.lost) == ([], 100)

    asyncio.run(main())


def test_the_tail_of_the_log_is_missed_though_sqlite_says_nothing():
    async def main():
        lost = []
        with tempfile.TemporaryDirectory(dir=FAST) as folder:
            live, copy = Path(folder) / "live", Path(folder) / "copy"
            async with DiskSpool(live, **OPTIONS) as spool:
                for number in range(12):
                    await spool.append(events(number, number + 1))
                    shutil.rmtree(copy, ignore_errors=True)
                    shutil.copytree(live, copy)
                    os.truncate(next(path for path in _segments(copy) if path.name.endswith("-wal")), 0)
                    async with DiskSpool(copy, **OPTIONS) as cut:
                        assert len(await drained(cut)) + cut.stats().lost == number + 1
                        lost.append(cut.stats().lost)
        return lost

    # SQLite moves its log into the database now and then, and what it moved is not in the tail.
    lost = asyncio.run(main())
    assert max(lost) > 3
    assert min(lost) == 0


@pytest.mark.parametrize("name", ["MARK.a", "MARK.b"])
@pytest.mark.parametrize("state", ["killed", "closed"])
def test_one_damaged_mark_loses_nothing_and_invents_no_loss(originals, state, name):
    chance = random.Random(name + state)

    def flip(folder):
        data = bytearray((folder / name).read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        (folder / name).write_bytes(data)

    def cut(folder):
        os.truncate(folder / name, chance.randrange((folder / name).stat().st_size))

    def remove(folder):
        (folder / name).unlink()

    async def main():
        with tempfile.TemporaryDirectory(dir=FAST) as folder:
            for harm in [flip] * 20 + [cut] * 20 + [remove]:
                numbers, stats = await _outcome(originals[state], Path(folder) / "spool", harm)
                assert numbers[-100:] == list(range(10, 110))
                assert stats.lost == 0

    asyncio.run(main())


@pytest.mark.parametrize("name", ["MARK.a", "MARK.b"])
def test_files_that_were_removed_are_not_taken_for_lost_when_one_mark_is(name):
    async def main():
        with tempfile.TemporaryDirectory(dir=FAST) as folder:
            live, copy = Path(folder) / "live", Path(folder) / "copy"
            async with DiskSpool(live, **OPTIONS) as spool:
                for start in range(0, 300, 20):
                    await spool.append(events(start, start + 20, "x" * 900))
                settled = 0
                while batch := await spool.read(20):
                    await spool.ack(batch.token)
                    shutil.rmtree(copy, ignore_errors=True)
                    shutil.copytree(live, copy)
                    (copy / name).unlink()
                    async with DiskSpool(copy, **OPTIONS) as other:
                        numbers = await drained(other)
                        assert other.stats().lost == 0
                    again = settled
                    settled = batch.events[-1].payload["n"] + 1
                    # At most the last batch comes again.
                    assert numbers in (list(range(settled, 300)), list(range(again, 300)))
        assert settled == 300

    asyncio.run(main())


def test_without_any_mark_everything_that_is_there_comes_back(originals, caplog):
    def remove(folder):
        for name in ("MARK.a", "MARK.b"):
            (folder / name).unlink()

    async def main():
        with tempfile.TemporaryDirectory(dir=FAST) as folder:
            numbers, stats = await _outcome(originals["killed"], Path(folder) / "spool", remove)
            assert numbers == list(range(110))
            assert stats.lost == 0

    asyncio.run(main())
    assert [record.action for record in caplog.records] == ["audit_spool_mark_lost"]


def test_what_was_lost_stays_counted_and_damaged_files_are_kept_within_bounds(tmp_path):
    async def main():
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            for start in range(0, 600, 100):
                await spool.append(events(start, start + 100, "x" * 150))
        for path in _segments(tmp_path):
            path.write_bytes(b"no database")
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            assert await drained(spool) == []
            assert spool.stats()[3:] == (600, 2)
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            assert spool.stats() == (0, 2 * len("no database"), 0.0, 600, 2)
            await spool.append(events(0, 5))
            assert await drained(spool) == [0, 1, 2, 3, 4]
            assert spool.stats()[3:] == (600, 2)

    asyncio.run(main())


def test_a_record_that_is_no_event_is_counted_and_passed(tmp_path):
    async def main():
        sent = events(0, 9)
        sent[4] = sent[4].model_copy(update={"action": "Not An Action"})
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            await spool.append(sent)
            assert await drained(spool, 3) == [0, 1, 2, 3, 5, 6, 7, 8]
            await spool.append([sent[4]])
            assert await drained(spool) == []
            assert spool.stats().lost == 2

    asyncio.run(main())


@pytest.mark.parametrize("chunk", ["x'00'", "'text'", "7", "zeroblob(100)", "NULL"])
def test_a_row_that_holds_anything_else_is_counted(tmp_path, chunk):
    async def main():
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            for start in range(0, 9, 3):
                await spool.append(events(start, start + 3))
        [path] = _segments(tmp_path)
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_schema SET sql = replace(sql, ' NOT NULL', '')")
            connection.execute("PRAGMA writable_schema = RESET")
            connection.execute(f"UPDATE chunks SET chunk = {chunk} WHERE first = 4")
        connection.close()
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            assert await drained(spool) == [0, 1, 2, 6, 7, 8]
            assert spool.stats()[3:] == (3, 1)

    asyncio.run(main())


def test_rows_that_damage_put_out_of_order_never_come_out_of_order(tmp_path):
    async def main():
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            for start in range(0, 9, 3):
                await spool.append(events(start, start + 3))
        [path] = _segments(tmp_path)
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("UPDATE chunks SET first = 8 WHERE first = 4")
        connection.close()
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            assert await drained(spool) == [0, 1, 2, 6, 7, 8]
            assert spool.stats()[3:] == (3, 1)

    asyncio.run(main())


def test_damaged_files_give_way_when_room_is_needed(tmp_path):
    async def main():
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            await spool.append(events(0, 30, "x" * 4000))
        [path] = _segments(tmp_path)
        data = bytearray(path.read_bytes())
        data[:100] = bytes(100)
        path.write_bytes(data)
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            assert await drained(spool) == []
            assert spool.stats().quarantined == 1
            await spool.append(events(0, 50, "x" * 4000))
            assert spool.stats()[3:] == (30, 0)
            assert await drained(spool) == list(range(50))

    asyncio.run(main())


def test_a_segment_that_cannot_be_opened_is_waited_for_and_then_passed(tmp_path):
    async def main():
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            for start in range(0, 500, 100):
                await spool.append(events(start, start + 100, "x" * 150))
        first, second = _segments(tmp_path)[:2]
        first.unlink()
        first.mkdir()
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            for _ in range(5):
                with pytest.raises(SpoolError, match="unable to open"):
                    await spool.read(10)
            start = int(second.name[:20]) - 1
            assert await drained(spool) == list(range(start, 500))
            assert spool.stats()[3:] == (start, 1)

    asyncio.run(main())
