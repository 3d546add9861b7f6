"""The spool on a healthy disk: what goes in comes out, in order, until it is acknowledged."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys

import pytest

from tenaudit import ConfigurationError
from tenaudit.audit import AuditEvent, SinkRejected, SpoolBatch, SpoolError, SpoolFull, SpoolStats
from tenaudit.backends.spool import DiskSpool
from tenaudit.testing.clock import ManualClock
from tests.unit.backends.spool_events import FIRST_MS, drained, event, events

SMALL = {"segment_bytes": 64 * 1024, "max_bytes": 4 * 2**20, "reserve_bytes": 0}
TIGHT = SMALL | {"max_bytes": 2**20}


def run(main):
    async def bounded():
        async with asyncio.timeout(60):
            return await main()

    return asyncio.run(bounded())


def names(folder):
    return {path.name for path in folder.iterdir()}


def databases(folder):
    return sorted(name for name in names(folder) if name.endswith(".db"))


def test_events_come_back_equal_and_in_order_until_they_are_acknowledged(tmp_path):
    async def main():
        async with DiskSpool.open(tmp_path / "a" / "b", **SMALL) as spool:
            sent = events(0, 1300, "é\u2028\x01 'x'")
            for start in range(0, 1300, 130):
                await spool.append(sent[start : start + 130])
            first = await spool.read(7)
            assert list(first.events) == sent[:7]
            assert await spool.read(7) == first
            await spool.ack(first.token)
            await spool.ack(first.token)
            second = await spool.read(1000)
            assert list(second.events) == sent[7 : 7 + len(second.events)]
            assert await drained(spool) == list(range(7, 1300))
            assert await spool.read(1) == SpoolBatch((), (await spool.read(1)).token)
            assert spool.stats().lost == 0

    run(main)


def test_what_was_not_acknowledged_is_there_after_a_restart(tmp_path):
    async def main():
        async with DiskSpool(tmp_path, **SMALL) as spool:
            await spool.append(events(0, 10))
            batch = await spool.read(4)
            await spool.ack(batch.token)
            await spool.read(4)
        async with DiskSpool(tmp_path, **SMALL) as spool:
            assert spool.stats()[0] == 6
            await spool.append(events(10, 12))
            assert await drained(spool) == list(range(4, 12))
        async with DiskSpool(tmp_path, **SMALL) as spool:
            assert not await spool.read(1)
            assert databases(tmp_path) == []
            assert spool.stats() == SpoolStats(0, 0, 0.0, 0, 0)

    run(main)


def test_calls_that_come_at_once_share_commits_and_keep_their_order(tmp_path):
    async def main():
        async with DiskSpool(tmp_path, **SMALL) as spool:
            await asyncio.gather(*(spool.append([event(number)]) for number in range(300)))
            assert await drained(spool) == list(range(300))

    run(main)


def test_nobody_else_reads_the_file_that_is_being_filled(tmp_path):
    async def main():
        async with DiskSpool(tmp_path, **SMALL) as spool:
            await spool.append([event(0)])
            other = sqlite3.connect(f"file:{tmp_path / databases(tmp_path)[0]}?mode=ro", uri=True, timeout=0)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("SELECT count(*) FROM chunks")
            other.close()
            assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
            assert names(tmp_path) == {"LOCK", "MARK.a", "MARK.b", *(f"{1:020}.v1.db" + end for end in ("", "-wal"))}

    run(main)


def test_nothing_to_append_is_nothing(tmp_path):
    async def main():
        async with DiskSpool(tmp_path / "x", **SMALL) as spool:
            await spool.append([])
            assert spool.stats().records == 0

    run(main)


def test_finished_segments_are_removed_and_a_drained_one_is_too_once_it_is_large(tmp_path):
    async def main():
        async with DiskSpool(tmp_path, **SMALL) as spool:
            for start in range(0, 600, 20):
                await spool.append(events(start, start + 20, "x" * 200))
            many = len(databases(tmp_path))
            assert many > 3
            seen = set()
            while batch := await spool.read(50):
                await spool.ack(batch.token)
                seen.add(len(databases(tmp_path)))
            assert seen >= {many - 1, 1}
            await spool.append(events(0, 60, "x" * 200))
            await drained(spool)
            assert databases(tmp_path) == []
            assert names(tmp_path) == {"LOCK", "MARK.a", "MARK.b"}

    run(main)


def test_its_bound_holds_at_every_moment_and_room_comes_back(tmp_path):
    def size():
        return sum(path.stat().st_size for path in tmp_path.iterdir() if ".db" in path.name)

    async def main():
        async with DiskSpool(tmp_path, **TIGHT) as spool:
            taken = 0

            async def fill():
                nonlocal taken
                while True:
                    await spool.append(events(taken, taken + 9, "x" * 1900))
                    taken += 9
                    assert size() == spool.stats().bytes <= TIGHT["max_bytes"]

            with pytest.raises(SpoolFull) as caught:
                await fill()
            assert caught.value.code == "spool_full"
            assert taken * 1900 > TIGHT["max_bytes"] / 4
            full = spool.stats().records
            assert full == taken
            for _ in range(full // 20 // 2):
                await spool.ack((await spool.read(20)).token)
            with pytest.raises(SpoolFull):
                await fill()
            assert taken > full
            assert (await drained(spool))[-1] == taken - 1

    run(main)


def test_it_leaves_the_disk_its_reserve(tmp_path):
    async def main():
        async with DiskSpool(tmp_path, reserve_bytes=2**62) as spool:
            with pytest.raises(SpoolFull):
                await spool.append(events(0, 1))
            assert not await spool.read(1)

    run(main)


def test_one_call_that_does_not_fit_takes_no_other_along(tmp_path):
    async def main():
        async with DiskSpool(tmp_path, **SMALL) as spool:
            outcomes = await asyncio.gather(
                spool.append(events(0, 3)),
                spool.append(events(3, 60, "x" * 60_000)),
                spool.append([AuditEvent.model_construct(**dict(event(60)) | {"payload": {"a": "\ud800"}})]),
                spool.append(events(61, 64)),
                return_exceptions=True,
            )
            assert [type(outcome) for outcome in outcomes] == [type(None), SpoolFull, SinkRejected, type(None)]
            assert outcomes[2].event_ids == {event(60).event_id}
            assert await drained(spool) == [0, 1, 2, 61, 62, 63]

    run(main)


def test_a_cancelled_append_that_had_not_begun_writes_nothing(tmp_path):
    async def main():
        async with DiskSpool(tmp_path, **SMALL) as spool:
            calls = [asyncio.ensure_future(spool.append([event(number)])) for number in range(50)]
            await asyncio.sleep(0)
            for call in calls[10:]:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await spool.append([event(50)])
            got = await drained(spool)
            assert got == sorted(set(got))
            assert {*range(10), 50} <= set(got)

    run(main)


def test_the_age_of_the_oldest_is_told_by_its_id(tmp_path):
    async def main():
        clock = ManualClock(start=FIRST_MS / 1000 + 5)
        async with DiskSpool(tmp_path, **SMALL, clock=clock) as spool:
            assert spool.stats().oldest_age == 0
            await spool.append(events(1000, 1010))
            assert spool.stats().oldest_age == 4.0
            batch = await spool.read(5)
            assert spool.stats().oldest_age == 4.0
            await spool.ack(batch.token)
            assert spool.stats().oldest_age == pytest.approx(3.995)
            await drained(spool)
            assert spool.stats().oldest_age == 0

    run(main)


def test_a_folder_has_one_owner(tmp_path):
    async def main():
        async with DiskSpool(tmp_path):
            with pytest.raises(ConfigurationError, match="in use"):
                await DiskSpool.open(tmp_path)
            code = (
                "import asyncio, sys\n"
                "from tenaudit import ConfigurationError\n"
                "from tenaudit.backends.spool import DiskSpool\n"
                "async def main(): await DiskSpool.open(sys.argv[1])\n"
                "try: asyncio.run(main())\n"
                "except ConfigurationError as error: print(error)\n"
            )
            arguments = [sys.executable, "-c", code, str(tmp_path)]
            other = await asyncio.to_thread(subprocess.run, arguments, check=False, capture_output=True, timeout=60)
            assert b"in use" in other.stdout
        await (await DiskSpool.open(tmp_path)).close()

    run(main)


@pytest.mark.parametrize(
    "options",
    [{"segment_bytes": 1}, {"max_bytes": 2**20}, {"reserve_bytes": -1}],
    ids=lambda options: next(iter(options)),
)
def test_impossible_bounds_are_refused_by_name(tmp_path, options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        DiskSpool(tmp_path, **options)


def test_a_newer_format_is_refused_by_name(tmp_path):
    (tmp_path / f"{1:020}.v2.db").touch()

    async def main():
        spool = DiskSpool(tmp_path)
        with pytest.raises(ConfigurationError, match="newer version"):
            await spool.read(1)
        await spool.close()

    run(main)


def test_a_folder_that_cannot_be_is_an_error_of_the_spool_and_may_be_mended(tmp_path):
    (tmp_path / "file").touch()

    async def main():
        spool = DiskSpool(tmp_path / "file" / "spool", **SMALL)
        for call in (spool.append(events(0, 1)), spool.read(1)):
            with pytest.raises(SpoolError, match="Not a directory"):
                await call
        (tmp_path / "file").unlink()
        await spool.append(events(0, 2))
        assert await drained(spool) == [0, 1]
        await spool.close()

    run(main)


def test_a_closed_spool_says_so(tmp_path):
    async def main():
        async with DiskSpool(tmp_path) as spool:
            await spool.append(events(0, 1))
            batch = await spool.read(1)
        await spool.close()
        for call in (spool.append(events(0, 1)), spool.read(1), spool.ack(batch.token)):
            with pytest.raises(SpoolError, match="closed") as caught:
                await call
            assert caught.value.code == "spool_failed"

    run(main)


def test_wrong_arguments_are_refused(tmp_path):
    async def main():
        async with DiskSpool(tmp_path) as spool:
            with pytest.raises(ValueError, match="limit"):
                await spool.read(0)
            with pytest.raises(TypeError, match="token"):
                await spool.ack(7)

    run(main)


def test_a_name_with_the_signs_of_a_uri_is_a_name(tmp_path):
    async def main():
        async with DiskSpool(tmp_path / "a?b#c%20d", **SMALL) as spool:
            await spool.append(events(0, 3))
            assert await drained(spool) == [0, 1, 2]
            assert names(tmp_path) == {"a?b#c%20d"}

    run(main)


def test_the_files_are_sqlite_with_json_in_it(tmp_path):
    async def main():
        async with DiskSpool(tmp_path, **SMALL) as spool:
            await spool.append(events(0, 2))

    run(main)
    connection = sqlite3.connect(tmp_path / f"{1:020}.v1.db")
    [(first, chunk)] = connection.execute("SELECT first, chunk FROM chunks").fetchall()
    connection.close()
    assert first == 1
    seq, length = int.from_bytes(chunk[:8], "big"), int.from_bytes(chunk[8:12], "big")
    assert (seq, chunk[12:28]) == (1, event(0).event_id.bytes)
    assert json.loads(chunk[32 : 32 + length])["payload"] == {"n": 0, "t": ""}
