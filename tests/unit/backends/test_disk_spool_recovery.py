"""What an opening or a removal leaves behind that fails half way: nothing that stands in the way of the next one."""

from __future__ import annotations

import asyncio
import resource
import shutil

import pytest

from tenaudit.audit import SpoolError
from tenaudit.backends.spool import DiskSpool
from tests.unit.backends.spool_events import drained, events

OPTIONS = {"segment_bytes": 64 * 1024, "max_bytes": 2**20, "reserve_bytes": 0}


@pytest.fixture
def file_limit():
    """Bound the size of every file this process writes, until it is lifted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _as_killed(live, copy):
    shutil.copytree(live, copy)
    return copy


def test_openings_that_fail_leave_no_lock_that_makes_a_segment_look_damaged(tmp_path, file_limit):
    async def main():
        async with DiskSpool(tmp_path / "live", **OPTIONS) as spool:
            await spool.append(events(0, 20))
            folder = _as_killed(tmp_path / "live", tmp_path / "killed")
        spool = DiskSpool(folder, **OPTIONS)
        kept = []
        for _ in range(8):
            file_limit(0)
            with pytest.raises(SpoolError) as caught:
                await spool.read(5)
            # Whoever keeps the error keeps all that its traceback holds.
            kept.append(caught)
        file_limit(None)
        await spool.read(1)
        assert spool.stats().bytes == sum(path.stat().st_size for path in folder.iterdir() if ".db" in path.name)
        assert await drained(spool) == list(range(20))
        assert spool.stats()[3:] == (0, 0)
        await spool.close()

    asyncio.run(main())


def test_a_segment_that_is_half_removed_takes_nothing_more(tmp_path, caplog):
    async def main():
        live = tmp_path / "live"
        async with DiskSpool(live, **OPTIONS) as spool:
            await spool.append(events(0, 20, "x" * 2000))
            # Its log goes first, and then this stands in the way.
            stuck = live / f"{1:020}.v1.db-journal"
            stuck.mkdir()
            batch = await spool.read(20)
            await spool.ack(batch.token)
            await spool.append(events(20, 25))
            folder = _as_killed(live, tmp_path / "killed")
            stuck.rmdir()
            assert await drained(spool) == list(range(20, 25))
            assert not list(live.glob(f"{1:020}*"))
        async with DiskSpool(folder, **OPTIONS) as spool:
            assert await drained(spool) == list(range(20, 25))
            assert spool.stats().lost == 0

    asyncio.run(main())
    assert {record.action for record in caplog.records} == {"audit_spool_not_removed"}


def test_folders_are_made_one_in_the_other_and_the_last_is_for_this_user(tmp_path):
    async def main():
        async with DiskSpool(tmp_path / "a" / "b" / "c", **OPTIONS) as spool:
            await spool.append(events(0, 1))
        assert oct((tmp_path / "a" / "b" / "c").stat().st_mode)[-3:] == "700"

    asyncio.run(main())
