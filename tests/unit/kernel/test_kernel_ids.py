"""UUIDv7 ids: layout, order under a bad clock, the carry, threads and fork."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from uuid import UUID

import pytest

from tenaudit._kernel.ids import Uuid7Source, unix_ms_of, uuid7_from_source, uuid7_int

MS = 1_700_000_000_000


def _ones(size):
    return b"\xff" * size


def test_an_id_carries_time_version_and_variant():
    made = UUID(int=Uuid7Source().next(MS))
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert unix_ms_of(made) == MS


def test_the_layout_matches_the_example_of_the_standard():
    # RFC 9562, appendix A.6: 017F22E2-79B0-7CC3-98C4-DC0C0C07398F.
    tail = (0xCC3 << 62) | 0x18C4DC0C0C07398F
    assert UUID(int=uuid7_int(0x017F22E279B0, tail)) == UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")


@pytest.mark.parametrize("unix_ms", [-1, 1 << 48])
def test_a_time_outside_48_bits_is_refused_and_changes_nothing(unix_ms):
    source = Uuid7Source()
    with pytest.raises(ValueError, match="48 bits"):
        source.next(unix_ms)
    following = UUID(int=source.next(MS))
    assert (following.version, unix_ms_of(following)) == (7, MS)


def test_a_clock_that_steps_back_does_not_break_the_order():
    source = Uuid7Source()
    times = [MS, MS + 5, MS - 100, MS - 1, MS + 5, MS + 6, 0, MS + 7]
    ids = [source.next(ms) for ms in times]
    assert ids == sorted(set(ids))
    assert [unix_ms_of(UUID(int=i)) - MS for i in ids] == [0, 5, 5, 5, 5, 6, 6, 7]


def test_a_full_counter_borrows_the_next_millisecond():
    source = Uuid7Source(_ones)
    ids = [UUID(int=source.next(MS)) for _ in range(4)]
    assert ids == sorted(set(ids))
    assert {(i.version, i.variant) for i in ids} == {(7, "specified in RFC 4122")}
    assert [unix_ms_of(i) - MS for i in ids] == [0, 1, 2, 3]


def test_zero_randomness_counts_up_from_zero():
    source = Uuid7Source(bytes)
    first, second = source.next(MS), source.next(MS)
    assert first == uuid7_int(MS, 0)
    assert second == first + 1


def test_all_74_bits_of_the_tail_are_random():
    assert Uuid7Source(_ones).next(MS) == uuid7_int(MS, (1 << 74) - 1)


def test_threads_get_distinct_ids_each_in_order():
    source = Uuid7Source()
    made: list[list[int]] = [[] for _ in range(8)]

    def work(mine):
        mine.extend(source.next(MS) for _ in range(2000))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all(mine == sorted(mine) for mine in made)
    assert len({i for mine in made for i in mine}) == 16_000


_FORK = """
import os, sys
from tenaudit._kernel.ids import Uuid7Source
source = Uuid7Source()
source.next(1_700_000_000_000)
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    source.reset()
    os.write(write, b"".join(source.next(1_700_000_000_000).to_bytes(16, "big") for _ in range(100)))
    os._exit(0)
mine = {source.next(1_700_000_000_000) for _ in range(100)}
os.close(write)
data = b""
while chunk := os.read(read, 4096):
    data += chunk
os.waitpid(pid, 0)
theirs = {int.from_bytes(data[i : i + 16], "big") for i in range(0, len(data), 16)}
print(len(mine), len(theirs), len(mine & theirs))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_a_forked_child_that_resets_shares_no_id_with_its_parent():

    done = subprocess.run([sys.executable, "-c", _FORK], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["100", "100", "0"]


def test_the_same_source_gives_the_same_id():
    first = uuid7_from_source(MS, "legacy-17")
    assert first == uuid7_from_source(MS, "legacy-17")
    assert first != uuid7_from_source(MS, "legacy-18")
    assert (first.version, unix_ms_of(first)) == (7, MS)


def test_the_tail_of_an_imported_id_is_74_bits_of_sha_256():
    # Written out by hand: SHA-256("abc") starts ba7816bf8f01cfea4141.
    tail = 0xBA7816BF8F01CFEA4141 >> 6
    assert uuid7_from_source(MS, "abc").int == uuid7_int(MS, tail)


def test_a_source_id_that_is_no_unicode_still_gives_an_id():
    assert uuid7_from_source(MS, "\udcff").version == 7
