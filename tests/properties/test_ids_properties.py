"""Properties of UUIDv7 ids over any sequence of clock readings and any randomness."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tenaudit._kernel.ids import Uuid7Source, unix_ms_of, uuid7_from_source, uuid7_int

_ms = st.integers(0, (1 << 48) - 1)
_near = st.integers(0, 3)


@given(unix_ms=_ms, tail=st.integers(0, (1 << 74) - 1))
def test_the_layout_loses_no_bit(unix_ms, tail):
    made = uuid7_int(unix_ms, tail)
    assert made >> 80 == unix_ms
    assert (((made >> 64) & 0xFFF) << 62) | (made & ((1 << 62) - 1)) == tail
    assert (UUID(int=made).version, UUID(int=made).variant) == (7, "specified in RFC 4122")


@given(steps=st.lists(_near, min_size=1, max_size=60), byte=st.sampled_from([0x00, 0x7F, 0xFF]))
def test_ids_increase_whatever_the_clock_and_the_randomness_do(steps, byte):
    source = Uuid7Source(lambda size: bytes([byte]) * size)
    ids = [source.next(1_700_000_000_000 + step) for step in steps]
    assert ids == sorted(set(ids))
    assert all(UUID(int=i).version == 7 and UUID(int=i).variant == "specified in RFC 4122" for i in ids)


@given(bad=st.one_of(st.integers(max_value=-1), st.integers(min_value=1 << 48)), good=_ms)
def test_a_refused_time_leaves_the_source_usable(bad, good):
    source = Uuid7Source()
    try:
        source.next(bad)
    except ValueError:
        pass
    else:
        raise AssertionError("a time outside 48 bits was taken")
    assert unix_ms_of(UUID(int=source.next(good))) == good


@given(unix_ms=_ms, source_id=st.text(st.characters(exclude_categories=[])))
def test_an_imported_id_is_a_function_of_its_source(unix_ms, source_id):
    assert uuid7_from_source(unix_ms, source_id) == uuid7_from_source(unix_ms, source_id)
    assert unix_ms_of(uuid7_from_source(unix_ms, source_id)) == unix_ms
