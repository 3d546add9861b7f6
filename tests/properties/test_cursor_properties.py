"""Cursors: what was not written for this very query is refused, and nothing else is raised."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tenaudit.audit import AuditQuery, InvalidCursor
from tenaudit.audit.query import CursorCodec, CursorPoint

CODEC = CursorCodec(b"k" * 32)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
some_text = st.none() | st.sampled_from(["None", "u-1", "null", ""]) | st.text("abc", min_size=1, max_size=3)
moments = st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
queries = st.builds(
    AuditQuery,
    tenant_id=st.uuids(),
    actor=some_text,
    action=some_text,
    resource_type=some_text,
    resource_id=some_text,
    severity=st.sampled_from([None, "info", "warn"]),
    min_severity=st.sampled_from([None, "info", "warn"]),
    outcome=st.sampled_from([None, "success", "denied"]),
    trace_id=some_text,
    service=some_text,
    from_=moments,
    to=moments,
    q=some_text,
    order=st.sampled_from(["asc", "desc"]),
)
points = st.builds(CursorPoint, st.uuids(), st.booleans())


@given(queries, points, st.integers(1, 500), st.booleans())
def test_a_cursor_leads_back_to_its_place_whatever_the_page_size(query, point, limit, include_redacted):
    cursor = CODEC.write(query, point)
    again = replace(query, cursor=cursor, limit=limit, include_redacted=include_redacted)
    assert CODEC.read(again) == point
    assert set(cursor) <= set(ALPHABET)


@given(queries, queries, points)
def test_a_cursor_of_another_query_is_refused(query, other, point):
    assume(query != other)
    with pytest.raises(InvalidCursor):
        CODEC.read(other.at(CODEC.write(query, point)))


@pytest.mark.parametrize(
    "change",
    [
        {"tenant_id": UUID(int=2)}, {"actor": "None"}, {"action": "a"}, {"resource_type": "a"}, {"resource_id": "a"},
        {"severity": "warn"}, {"min_severity": "warn"}, {"outcome": "denied"}, {"trace_id": "a"}, {"service": "a"},
        {"q": "a"}, {"from_": datetime(2026, 1, 1, tzinfo=UTC)}, {"to": datetime(2026, 1, 1, tzinfo=UTC)},
        {"order": "asc"},
    ],
)  # fmt: skip
def test_every_filter_is_bound(change):
    query = AuditQuery(UUID(int=1))
    cursor = CODEC.write(query, CursorPoint(UUID(int=7), backward=False))
    with pytest.raises(InvalidCursor):
        CODEC.read(replace(query, cursor=cursor, **change))


@given(queries, points)
def test_every_flipped_bit_is_refused(query, point):
    cursor = CODEC.write(query, point)
    for place, letter in enumerate(cursor):
        value = ALPHABET.index(letter)
        for bit in range(6):
            altered = cursor[:place] + ALPHABET[value ^ (1 << bit)] + cursor[place + 1 :]
            with pytest.raises(InvalidCursor):
                CODEC.read(query.at(altered))


@given(st.text() | st.text(ALPHABET + "=+/\n ", max_size=60))
def test_arbitrary_text_is_refused_and_raises_nothing_else(text):
    with pytest.raises(InvalidCursor):
        CODEC.read(AuditQuery(UUID(int=1), cursor=text))


@given(points, st.sampled_from(["=", "==", "\n", " ", "A", "\x00"]))
def test_a_cursor_has_one_spelling(point, tail):
    query = AuditQuery(UUID(int=1))
    cursor = CODEC.write(query, point)
    for altered in (cursor + tail, tail + cursor, cursor[:-1], cursor[1:], cursor * 2):
        with pytest.raises(InvalidCursor):
            CODEC.read(query.at(altered))


def test_another_key_is_refused_and_a_short_one_is_no_key():
    query = AuditQuery(UUID(int=1))
    cursor = CODEC.write(query, CursorPoint(UUID(int=7), backward=False))
    with pytest.raises(InvalidCursor):
        CursorCodec(b"j" * 32).read(query.at(cursor))
    with pytest.raises(ValueError, match="16 bytes"):
        CursorCodec(b"short")
