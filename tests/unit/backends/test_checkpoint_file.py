"""The file of signed rounds: it ends with a whole line whatever happened, and says what it cannot read."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from tenaudit.audit import StoreError
from tenaudit.audit.integrity.log_of_logs import RoundError, SealedRound
from tenaudit.backends.checkpoint_file import CheckpointFile, read_rounds

ROUNDS = [SealedRound(first, (f"body {first}\n", f"body {first + 1}\n"), f"note {first} é\n") for first in (0, 2, 4)]


async def _filled(path, rounds=ROUNDS):
    place = CheckpointFile(path)
    for one in rounds:
        await place.put(one)
    found = await place.size(), [one async for one in place.rounds()]
    await place.close()
    return found


def test_what_is_put_comes_back_in_order_from_wherever_it_is_asked(tmp_path):
    async def main():
        assert await _filled(tmp_path / "file") == (6, ROUNDS)
        place = CheckpointFile(tmp_path / "file")
        assert [one async for one in place.rounds(2)] == ROUNDS[1:]
        assert [one async for one in place.rounds(6)] == []
        for first, why in ((1, "no round begins at 1"), (7, "ends at 6, before 7")):
            with pytest.raises(RoundError, match=why):
                _ = [one async for one in place.rounds(first)]
        for wrong in (ROUNDS[2], SealedRound(7, ("x",), "y")):
            with pytest.raises(RoundError, match="the file ends at 6"):
                await place.put(wrong)
        await place.close()

    asyncio.run(main())
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_cut_at_any_byte_it_has_the_whole_rounds_before_and_takes_the_next(tmp_path):
    asyncio.run(_filled(tmp_path / "file"))
    whole = (tmp_path / "file").read_bytes()
    ends = [place for place, byte in enumerate(whole, 1) if byte == ord("\n")]
    for cut in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)

        async def main(kept=kept):
            return await _filled(tmp_path / "cut", ROUNDS[kept:])

        assert asyncio.run(main()) == (6, ROUNDS)
        assert (tmp_path / "cut").read_bytes() == whole


def test_one_that_is_cut_or_grows_under_its_reader_is_read_anew(tmp_path):
    async def main():
        one, two = CheckpointFile(tmp_path / "file"), CheckpointFile(tmp_path / "file")
        for number, sealed in enumerate(ROUNDS):
            await (one, two)[number % 2].put(sealed)
        assert [await one.size(), await two.size()] == [6, 6]
        (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes().splitlines(keepends=True)[0])
        assert [await one.size(), await two.size()] == [2, 2]
        (tmp_path / "file").unlink()
        assert [await one.size(), await two.size()] == [0, 0]
        await one.close()
        await two.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{",
        b'"x"',
        b"\xff",
        b"[" * 100_000,
        b'{"first": 0, "bodies": [], "note": "n"}',
        b'{"first": 0, "bodies": ["b"]}',
        b'{"first": 0, "bodies": ["b", 1], "note": "n"}',
        b'{"first": 0, "bodies": "b", "note": "n"}',
        b'{"first": true, "bodies": ["b"], "note": "n"}',
        b'{"first": 1, "bodies": ["b"], "note": "n"}',
        b"x" * 4_100_000,
    ],
    ids=range(13),
)
def test_a_line_that_is_no_round_is_named_by_its_place(tmp_path, line):
    (tmp_path / "file").write_bytes(line + b"\n")

    async def main():
        place = CheckpointFile(tmp_path / "file")
        for call in (place.size(), place.put(ROUNDS[0])):
            with pytest.raises(RoundError, match=r"byte 0|begins at 1"):
                await call
        await place.close()

    asyncio.run(main())
    assert (tmp_path / "file").read_bytes() == line + b"\n"


def test_what_cannot_be_read_or_written_is_the_stores_error(tmp_path):
    async def main():
        place = CheckpointFile(tmp_path / "no" / "file")
        with pytest.raises(StoreError, match="No such file"):
            await place.put(ROUNDS[0])
        await place.close()
        place = CheckpointFile(tmp_path)
        for call in (place.size(), place.put(ROUNDS[0])):
            with pytest.raises(StoreError, match="directory"):
                await call
        with pytest.raises(StoreError, match="directory"):
            _ = [one async for one in place.rounds()]
        await place.close()

    asyncio.run(main())


_FULL = """
import asyncio, resource, signal, sys
from tenaudit.audit import StoreError
from tenaudit.backends.checkpoint_file import CheckpointFile
from tests.unit.backends.test_checkpoint_file import ROUNDS

async def main(path):
    place = CheckpointFile(path)
    await place.put(ROUNDS[0])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (110, resource.RLIM_INFINITY))
    try:
        await place.put(ROUNDS[1])
    except StoreError as error:
        print(await place.size(), error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await place.put(ROUNDS[1])
    print(await place.size())
    await place.close()

asyncio.run(main(sys.argv[1]))
"""


def test_a_full_disk_leaves_no_half_round_and_the_same_one_fits_later(tmp_path):
    path = tmp_path / "file"
    done = subprocess.run(
        [sys.executable, "-c", _FULL, path], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    first, second = done.splitlines()
    assert first.startswith("2 ")
    assert "File too large" in first
    assert second == "4"
    assert list(read_rounds(path)) == ROUNDS[:2]


def test_another_file_is_never_cut_and_what_is_no_file_is_never_waited_for(tmp_path):
    (tmp_path / "notes.txt").write_bytes(b"not ours")
    os.mkfifo(tmp_path / "fifo")

    async def main():
        place = CheckpointFile(tmp_path / "notes.txt")
        with pytest.raises(RoundError, match="what stands at byte 0 is no round"):
            await place.put(ROUNDS[0])
        await place.close()
        place = CheckpointFile(tmp_path / "fifo")
        for call in (place.size(), place.put(ROUNDS[0])):
            with pytest.raises(StoreError, match="is no file"):
                await call
        await place.close()

    asyncio.run(main())
    assert (tmp_path / "notes.txt").read_bytes() == b"not ours"
    with pytest.raises(StoreError, match="is no file"):
        list(read_rounds(tmp_path / "fifo"))
