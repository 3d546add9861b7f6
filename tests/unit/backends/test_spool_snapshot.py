"""Looking into a spool: all that it holds is seen, nothing in its folder changes, and an owner is left alone."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil

import pytest

from tenaudit.backends.spool import DiskSpool
from tenaudit.backends.spool.snapshot import SpoolInUse, spooled_events
from tenaudit.errors import ConfigurationError
from tests.unit.backends.spool_events import drained, events


def run(main):
    return asyncio.run(asyncio.wait_for(main, 30))


async def seen(folder):
    return [event.payload["n"] for event in [event async for event in spooled_events(folder)]]


async def filled(folder, count, acked=0):
    async with DiskSpool(folder, segment_bytes=65536) as spool:
        for first in range(0, count, 500):
            await spool.append(events(first, min(first + 500, count), "x" * 50))
        if acked:
            await spool.ack((await spool.read(acked)).token)


def contents(folder):
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def test_everything_is_seen_and_nothing_is_touched(tmp_path):
    run(filled(tmp_path, 1200, acked=400))
    before = contents(tmp_path)
    assert run(seen(tmp_path)) == list(range(400, 1200))
    assert contents(tmp_path) == before
    assert run(seen(tmp_path)) == list(range(400, 1200))


def test_what_a_killed_process_left_is_seen(tmp_path):
    async def main():
        spool = DiskSpool(tmp_path / "live")
        await spool.append(events(0, 7))
        # As a kill leaves it: the log beside the database, and nobody to move it there.
        await asyncio.to_thread(shutil.copytree, tmp_path / "live", tmp_path / "dead")
        await spool.close()
        before = contents(tmp_path / "dead")
        assert any(name.endswith("-wal") for name in before)
        assert await seen(tmp_path / "dead") == list(range(7))
        assert contents(tmp_path / "dead") == before

    run(main())


def test_a_spool_in_use_is_left_alone(tmp_path):
    async def main():
        async with DiskSpool(tmp_path) as spool:
            await spool.append(events(0, 3))
            with pytest.raises(SpoolInUse, match="is in use"):
                await seen(tmp_path)
            await spool.append(events(3, 5))
            assert await drained(spool) == list(range(5))

    run(main())


def test_two_may_look_at_once_and_the_folder_is_free_afterwards(tmp_path):
    run(filled(tmp_path, 3))
    other = os.open(tmp_path / "LOCK", os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert run(seen(tmp_path)) == [0, 1, 2]
    finally:
        os.close(other)
    run(filled(tmp_path, 3))


def test_a_folder_without_an_owner_is_read_and_an_empty_one_is_empty(tmp_path):
    run(filled(tmp_path / "spool", 3))
    (tmp_path / "spool" / "LOCK").unlink()
    assert run(seen(tmp_path / "spool")) == [0, 1, 2]
    assert not (tmp_path / "spool" / "LOCK").exists()
    (tmp_path / "empty").mkdir()
    assert run(seen(tmp_path / "empty")) == []
    assert list((tmp_path / "empty").iterdir()) == []


def test_what_is_no_folder_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no spool"):
        run(seen(tmp_path / "none"))


def test_a_folder_of_other_things_is_no_spool_and_beside_a_spool_they_are_left_out(tmp_path):
    other = tmp_path / "other"
    (other / "deep").mkdir(parents=True)
    # Whoever copied this would fail.
    (other / "deep" / "loop").symlink_to("loop")
    with pytest.raises(ConfigurationError, match="is no spool; check its path"):
        run(seen(other))
    run(filled(other, 5))
    assert run(seen(other)) == list(range(5))
