"""What is kept of a dead letter: any record comes back, whole or cut to its bounds, and any text can be stored."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit.consumer import DeadLetterBounds, DeadLettersFull, DeadLetterTotals, Partition, SourceRecord
from tenaudit.audit.consumer.kept_record import KeptRecord, storable_text
from tenaudit.errors import ConfigurationError

BYTES = st.none() | st.binary(max_size=2000)
TOPICS = st.text("abc.-_", min_size=1, max_size=20)
RECORDS = st.builds(
    SourceRecord,
    st.builds(Partition, TOPICS, st.integers(0, 2**31 - 1)),
    st.integers(0, 2**63 - 1),
    BYTES | st.just(b"x" * (2**20 + 1)),
    BYTES,
    st.lists(st.tuples(st.text(max_size=20), BYTES | st.just(b"x" * 9000)), max_size=80).map(tuple),
    st.none() | st.integers(0, 2**63 - 1),
)


@given(RECORDS)
def test_a_record_comes_back_whole_or_cut_to_its_bounds(record):
    kept = KeptRecord.of(record)
    again = kept.record()
    assert kept.digest == sha256(record.value or b"").digest()
    assert kept.value_bytes == (None if record.value is None else len(record.value))
    assert kept.is_whole == (again == record)
    assert (again.partition, again.offset, again.timestamp_ms) == (record.partition, record.offset, record.timestamp_ms)
    for cut, whole in ((again.value, record.value), (again.key, record.key), (again.headers, record.headers)):
        assert cut == (whole if whole is None else whole[: len(cut)])
    assert len(again.key or b"") <= 1024
    assert len(again.headers) <= 64
    assert kept.size < 2 * 2**20
    assert json.loads(kept.headers) == [[name, told] for name, told in json.loads(kept.headers)]


@given(st.text(st.characters(), max_size=400))
def test_any_text_can_be_stored(text):
    kept = storable_text(text)
    assert "\0" not in kept
    assert len(kept) == min(len(text), 250)
    assert kept.encode().decode() == kept == storable_text(kept)


@given(st.integers(1, 100), st.integers(0, 200), st.integers(0, 2**22), st.integers(0, 2**21))
def test_there_is_room_exactly_below_both_bounds(letters, there, kept, size):
    bounds = DeadLetterBounds(letters=letters, bytes=2 * 2**20)
    totals = DeadLetterTotals(there, kept)
    if there + 1 <= letters and kept + size <= 2 * 2**20:
        bounds.check(totals, size)
        return
    with pytest.raises(DeadLettersFull, match=f"{there} of {letters}, with {kept} of 2097152 bytes"):
        bounds.check(totals, size)


@pytest.mark.parametrize("wrong", [{"letters": 0}, {"letters": 2**63}, {"bytes": 2 * 2**20 - 1}, {"bytes": 2**63}])
def test_bounds_that_cannot_work_are_refused_by_name(wrong):
    with pytest.raises(ConfigurationError, match=f"{next(iter(wrong))} of dead letters must be"):
        DeadLetterBounds(**wrong)
