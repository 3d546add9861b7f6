"""Signed cursors: whatever the query and the place, they lead back, and nothing else does."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tenaudit.audit import AuditQuery
from tenaudit.audit.cursor import MAX_PLACE_BYTES, CursorRefused, SignedCursors

CURSORS = SignedCursors([b"k" * 32])
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
some_text = st.none() | st.sampled_from(["None", "null", ""]) | st.text("ab", min_size=1, max_size=3)
queries = st.builds(
    AuditQuery,
    tenant_id=st.sampled_from([UUID(int=1), UUID(int=2)]),
    actor=some_text,
    action=some_text,
    service=some_text,
    q=some_text,
    order=st.sampled_from(["asc", "desc"]),
)
places = st.binary(max_size=MAX_PLACE_BYTES)
moments = st.integers(1, 2**40)


@given(queries, places, moments)
def test_it_leads_back_until_it_expires(query, place, expires):
    cursor = CURSORS.write(query, place, expires=expires)
    assert CURSORS.read(query, cursor, now=expires - 1) == place
    with pytest.raises(CursorRefused) as caught:
        CURSORS.read(query, cursor, now=expires)
    assert caught.value.reason == "expired"


@given(queries, queries, places)
def test_another_query_is_told_whether_tenant_or_filters_differ(query, other, place):
    assume(query != other)
    with pytest.raises(CursorRefused) as caught:
        CURSORS.read(other, CURSORS.write(query, place, expires=9), now=0)
    assert caught.value.reason == ("other_filters" if query.tenant_id == other.tenant_id else "other_tenant")


@given(queries, places, st.data())
def test_any_change_of_its_text_is_refused(query, place, data):
    cursor = CURSORS.write(query, place, expires=9)
    start = data.draw(st.integers(0, len(cursor)))
    end = data.draw(st.integers(start, len(cursor)))
    altered = cursor[:start] + data.draw(st.text(ALPHABET, max_size=8)) + cursor[end:]
    assume(altered != cursor)
    with pytest.raises(CursorRefused) as caught:
        CURSORS.read(query, altered, now=0)
    assert caught.value.reason == "altered"


@given(queries, st.text() | st.text(ALPHABET + "=+/\n ", max_size=160))
def test_arbitrary_text_is_refused_and_raises_nothing_else(query, text):
    with pytest.raises(CursorRefused):
        CURSORS.read(query, text, now=0)
