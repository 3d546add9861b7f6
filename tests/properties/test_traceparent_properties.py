"""Properties of `traceparent` and `tracestate` against a naive reading of the standard."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenaudit.security import TraceContext, extract_context, parse_traceparent

TENANT = ("X-Tenant-ID", "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f")
GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HEX = "0123456789abcdef"


def _hex(size):
    return st.text(HEX, min_size=size, max_size=size)


def naive(value):
    """Read a traceparent field by field, as section 3.2 words it."""
    version, trace, parent, flags = value[0:2], value[3:35], value[36:52], value[53:55]
    lengths = (len(version), len(trace), len(parent), len(flags)) == (2, 32, 16, 2)
    dashes = [value[place : place + 1] for place in (2, 35, 52)] == ["-"] * 3
    digits = all(ch in HEX for ch in version + trace + parent + flags)
    if not (lengths and dashes and digits) or version == "ff" or set(trace) == {"0"} or set(parent) == {"0"}:
        return None
    rest = value[55:]
    if (version == "00" and rest) or (rest and rest[0] != "-"):
        return None
    return TraceContext(trace, parent, int(flags, 16) % 2 == 1)


@given(
    version=_hex(2) | st.sampled_from(["00", "ff", "01"]),
    trace=_hex(32) | st.just("0" * 32),
    parent=_hex(16) | st.just("0" * 16),
    flags=_hex(2),
    rest=st.sampled_from(["", "-", "-x", "x", "-a-b", "0"]),
)
def test_well_formed_values_are_read_as_the_standard_says(version, trace, parent, flags, rest):
    value = f"{version}-{trace}-{parent}-{flags}{rest}"
    assert parse_traceparent(value) == naive(value)


@given(place=st.integers(0, len(GOOD)), text=st.text(max_size=3), cut=st.integers(0, 3))
def test_a_damaged_value_is_read_as_the_standard_says(place, text, cut):
    value = GOOD[:place] + text + GOOD[place + cut :]
    assert parse_traceparent(value) == naive(value)


@given(value=st.text(st.characters(exclude_categories=[])))
def test_any_text_is_read_or_refused_and_never_raises(value):
    parsed = parse_traceparent(value)
    assert parsed is None or (len(parsed.trace_id), len(parsed.parent_id)) == (32, 16)


_member = st.one_of(
    st.tuples(st.text("abc019_-*/@", min_size=1, max_size=6), st.text("x y~!", min_size=0, max_size=150)).map("=".join),
    st.sampled_from(["", " ", "a", "=", "A=1", "a=é", "a=1"]),
)


@given(members=st.lists(_member, max_size=40), pieces=st.integers(1, 3))
def test_what_is_kept_of_a_tracestate_is_short_unique_and_in_order(members, pieces):
    size = max(1, -(-len(members) // pieces))
    values = [",".join(members[start : start + size]) for start in range(0, len(members), size)]
    headers = [TENANT, ("traceparent", GOOD), *(("tracestate", value) for value in values)]
    kept = extract_context(headers).trace.tracestate
    if not kept:
        return
    parts = kept.split(",")
    assert len(kept) <= 512
    assert len(parts) <= 32
    assert len({part.split("=")[0] for part in parts}) == len(parts)
    stripped = [member.strip(" \t") for member in members]
    places = [stripped.index(part) for part in parts]
    assert places == sorted(places)


@given(value=st.text(st.characters(exclude_categories=[])) | st.text("a=1, ", max_size=200))
def test_reading_a_tracestate_twice_changes_nothing(value):
    headers = [TENANT, ("traceparent", GOOD)]
    once = extract_context([*headers, ("tracestate", value)]).trace.tracestate
    assert extract_context([*headers, ("tracestate", once)]).trace.tracestate == once
