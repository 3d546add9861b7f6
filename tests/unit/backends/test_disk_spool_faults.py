"""The spool under a killed process, a file-size limit, a commit that fails, and a fork."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tenaudit.audit import SpoolError, SpoolFull
from tenaudit.backends.spool import DiskSpool
from tests.unit.backends.spool_events import drained, events

OPTIONS = {"segment_bytes": 64 * 1024, "max_bytes": 16 * 2**20, "reserve_bytes": 0}
ROOT = Path(__file__).parents[3]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}

# Appends and acknowledges until it is killed; says what it was told is on disk.
WRITER = """
import asyncio, sys
from tenaudit.backends.spool import DiskSpool
from tests.unit.backends.spool_events import events

async def main(folder, start):
    async with DiskSpool(folder, segment_bytes=65536, max_bytes=2**24, reserve_bytes=0) as spool:
        while True:
            await spool.append(events(start, start + 20))
            start += 20
            print("appended", start, flush=True)
            if start % 100 == 0:
                batch = await spool.read(60)
                print("read", batch.events[0].payload["n"], batch.events[-1].payload["n"] + 1, flush=True)
                await spool.ack(batch.token)
                print("acked", batch.events[-1].payload["n"] + 1, flush=True)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def _python(code, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, env=ENVIRONMENT, **options
    )


def test_a_killed_process_loses_nothing_that_append_returned_for(tmp_path):
    chance = random.Random(4)
    appended = acked = 0

    async def check():
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            oldest = (await spool.read(1)).events[0].payload["n"]
            stats = spool.stats()
            # What was not reported any more may have been done, one commit of it.
            assert acked <= oldest <= acked + 60
            assert appended <= oldest + stats.records <= appended + 20
            assert stats.lost == 0
            return oldest, oldest + stats.records

    for _ in range(5):
        process = _python(WRITER, tmp_path, appended)
        try:
            for _ in range(chance.randrange(5, 60)):
                word, *numbers = process.stdout.readline().split()
                if word == b"appended":
                    appended = int(numbers[0])
                elif word == b"acked":
                    acked = int(numbers[0])
        finally:
            process.kill()
        for line in process.stdout:
            word, *numbers = line.split()
            if line.endswith(b"\n"):
                appended = int(numbers[0]) if word == b"appended" else appended
                acked = int(numbers[0]) if word == b"acked" else acked
        process.stdout.close()
        assert process.wait(60) == -signal.SIGKILL
        acked, appended = asyncio.run(check())

    async def rest():
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            assert await drained(spool) == list(range(acked, appended))

    asyncio.run(rest())


@pytest.fixture
def file_limit():
    """Bound the size of every file this process writes, until it is lifted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_may_not_grow_is_sealed_and_the_next_one_goes_on(tmp_path, file_limit):
    async def main():
        async with DiskSpool(tmp_path, **OPTIONS | {"segment_bytes": 2**20}) as spool:
            await spool.append(events(0, 1))
            file_limit(150_000)
            for start in range(1, 1001, 50):
                await spool.append(events(start, start + 50))
            file_limit(None)
            assert len([path for path in tmp_path.iterdir() if path.name.endswith(".db")]) > 2
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            assert await drained(spool) == list(range(1001))
            assert spool.stats().lost == 0

    asyncio.run(main())


def test_no_room_at_all_is_an_error_and_acknowledging_still_works(tmp_path, file_limit):
    async def main():
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            for start in range(0, 200, 10):
                await spool.append(events(start, start + 10))
            file_limit(4096)
            for _ in range(3):
                with pytest.raises(SpoolError) as caught:
                    await spool.append(events(200, 300))
                assert not isinstance(caught.value, SpoolFull)
            assert spool.stats().records == 200
            batch = await spool.read(150)
            assert [one.payload["n"] for one in batch.events] == list(range(len(batch.events)))
            await spool.ack(batch.token)
            file_limit(None)
            await spool.append(events(200, 210))
            assert await drained(spool) == list(range(len(batch.events), 210))
            assert spool.stats().lost == 0

    asyncio.run(main())


def test_a_commit_that_fails_leaves_the_events_for_the_next_file(tmp_path, file_limit):
    async def main():
        async with DiskSpool(tmp_path, **OPTIONS | {"segment_bytes": 2**20}) as spool:
            await spool.append(events(0, 10))
            file_limit(100_000)
            # Neither this file nor a new one takes so much at once, and the new one is given up again.
            for _ in range(3):
                with pytest.raises(SpoolError):
                    await spool.append(events(10, 500))
            assert spool.stats().records == 10
            await spool.append(events(10, 20))
            file_limit(None)
            await spool.append(events(20, 500))
            assert await drained(spool) == list(range(500))
            assert spool.stats()[3:] == (0, 0)

    asyncio.run(main())


def test_a_mark_that_cannot_be_written_fails_the_acknowledgement_and_not_the_append(tmp_path, file_limit):
    async def main():
        spool = await DiskSpool.open(tmp_path, **OPTIONS)
        await spool.append(events(0, 10))
        batch = await spool.read(4)
        file_limit(0)
        with pytest.raises(SpoolError, match="mark"):
            await spool.ack(batch.token)
        other = DiskSpool(tmp_path / "other", **OPTIONS)
        with pytest.raises(SpoolError):
            await other.read(1)
        file_limit(None)
        assert await other.read(1) is not None
        await other.close()
        assert await spool.read(4) == batch
        assert await drained(spool) == list(range(10))
        await spool.close()

    asyncio.run(main())


def test_a_mark_that_cannot_be_opened_is_an_error_and_frees_the_folder(tmp_path):
    async def main():
        (tmp_path / "MARK.b").mkdir()
        spool = DiskSpool(tmp_path, **OPTIONS)
        with pytest.raises(SpoolError, match="directory"):
            await spool.append(events(0, 1))
        (tmp_path / "MARK.b").rmdir()
        await spool.append(events(0, 1))
        assert await drained(spool) == [0]
        await spool.close()

    asyncio.run(main())


def test_a_file_that_cannot_be_removed_is_tried_again(tmp_path, caplog):
    async def main():
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            for start in range(0, 400, 100):
                await spool.append(events(start, start + 100, "x" * 500))
            batch = await spool.read(50)
            stuck = tmp_path / f"{1:020}.v1.db-journal"
            stuck.mkdir()
            got = []
            while len(got) < 250:
                batch = await spool.read(50)
                got += [one.payload["n"] for one in batch.events]
                await spool.ack(batch.token)
            assert (tmp_path / f"{1:020}.v1.db").exists()
            stuck.rmdir()
            assert got + await drained(spool) == list(range(400))
            assert not (tmp_path / f"{1:020}.v1.db").exists()

    asyncio.run(main())
    assert {record.action for record in caplog.records} == {"audit_spool_not_removed"}


FULL = """
import asyncio, sys
from pathlib import Path
from tenaudit.audit import SpoolFull
from tenaudit.backends.spool import DiskSpool
from tests.unit.backends.spool_events import drained, events

async def main(folder):
    filler = Path(folder) / "filler"
    async with DiskSpool(folder + "/spool", segment_bytes=65536, max_bytes=2**24, reserve_bytes=0) as spool:
        taken = 0
        for _ in range(3):
            try:
                while True:
                    await spool.append(events(taken, taken + 5))
                    taken += 5
            except SpoolFull:
                pass
            # What was left by the bound's estimate is taken by others: now the disk is full to the last byte.
            with filler.open("ab", buffering=0) as file:
                try:
                    while file.write(b"x" * 512):
                        pass
                except OSError as error:
                    assert error.errno == 28, error
            try:
                await spool.append(events(taken, taken + 100))
            except SpoolFull:
                pass
            else:
                raise AssertionError
            batch = await spool.read(40)
            await spool.ack(batch.token)
            assert batch.events
        left = spool.stats().records
    # A restart on the full disk.
    async with DiskSpool(folder + "/spool", segment_bytes=65536, max_bytes=2**24, reserve_bytes=0) as spool:
        assert spool.stats().records == left
        got = await drained(spool)
        assert got == list(range(taken - left, taken)), (got[:3], got[-3:], taken, left)
        filler.unlink()
        await spool.append(events(taken, taken + 20))
        assert await drained(spool) == list(range(taken, taken + 20))
        assert spool.stats()[3:] == (0, 0)
    print("fine", flush=True)

asyncio.run(main(sys.argv[1]))
"""


def test_a_disk_that_is_full_to_the_last_byte_still_reads_and_acknowledges(tmp_path):
    mount = 'mount -t tmpfs -o size=1m tmpfs "$1" || exit 77; exec "$2" -c "$3" "$1"'
    command = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        mount,
        "sh",
        tmp_path,
        sys.executable,
        FULL,
    ]
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=60, env=ENVIRONMENT)
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if done.returncode in (1, 77) and b"Traceback" not in done.stderr:
        pytest.skip("no file system may be mounted here")
    assert (done.stdout, done.stderr) == (b"fine\n", b"")


def test_a_restart_without_room_reads_and_acknowledges(tmp_path, file_limit):
    async def main():
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            await spool.append(events(0, 100))
        file_limit(4096)
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            assert await drained(spool) == list(range(100))
        file_limit(None)
        assert not [path for path in tmp_path.iterdir() if ".db" in path.name]

    asyncio.run(main())


def test_a_process_that_began_to_make_a_segment_is_no_damage(tmp_path):
    async def main():
        await (await DiskSpool.open(tmp_path, **OPTIONS)).close()
        (tmp_path / f"{1:020}.v1.db").write_bytes(b"")
        (tmp_path / f"{1:020}.v1.db-journal").write_bytes(b"x" * 100)
        async with DiskSpool(tmp_path, **OPTIONS) as spool:
            assert spool.stats() == (0, 0, 0.0, 0, 0)
            await spool.append(events(0, 5))
            assert await drained(spool) == [0, 1, 2, 3, 4]
            assert spool.stats()[3:] == (0, 0)

    asyncio.run(main())


# A child that is forked while the parent's spool is open, looks at it and ends in the ordinary way.
FORK = """
import asyncio, os, sys
from tenaudit import ConfigurationError
from tenaudit.backends.spool import DiskSpool
from tests.unit.backends.spool_events import drained, events

async def parent(spool):
    await spool.append(events(0, 30))
    await spool.append(events(30, 31))

async def child(spool):
    assert spool.stats().records == 0
    try:
        await spool.read(1)
    except ConfigurationError as error:
        assert "in use" in str(error)
    else:
        sys.exit(3)
    await spool.close()

async def after(spool):
    await spool.append(events(31, 40))

async def rest(folder):
    async with DiskSpool(folder) as spool:
        assert await drained(spool) == list(range(40)), spool.stats()
        assert spool.stats().lost == 0

spool = DiskSpool(sys.argv[1])
unused = DiskSpool(sys.argv[1] + "-other")
asyncio.run(parent(spool))
if not (pid := os.fork()):
    asyncio.run(child(spool))
    asyncio.run(parent(unused))
    asyncio.run(unused.close())
    del spool
    sys.exit(0)
_, status = os.waitpid(pid, 0)
assert status == 0, status
asyncio.run(after(spool))
if sys.argv[2] == "close":
    asyncio.run(spool.close())
    asyncio.run(rest(sys.argv[1]))
print("fine", flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("ending", ["close", "die"])
def test_a_forked_child_leaves_the_parents_spool_alone(tmp_path, ending):
    process = _python(FORK, tmp_path / "spool", ending)
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert output == b"fine\n"
    if ending == "die":

        async def rest():
            async with DiskSpool(tmp_path / "spool", **OPTIONS) as spool:
                assert await drained(spool) == list(range(40))

        asyncio.run(rest())
