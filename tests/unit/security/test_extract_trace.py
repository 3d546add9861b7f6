"""Trace headers: vectors written from the rules of W3C Trace Context level 2."""

from __future__ import annotations

import pytest

from tenaudit.security import SecuritySettings, TraceContext, extract_context, parse_traceparent

TENANT = ("X-Tenant-ID", "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f")
T = "0af7651916cd43dd8448eb211c80319c"
P = "b7ad6b7169203331"
GOOD = f"00-{T}-{P}-01"
FRESH = "ab" * 16
SETTINGS = SecuritySettings(random_bytes=lambda size: b"\xab" * size)


def trace(*pairs):
    return extract_context([TENANT, *pairs], settings=SETTINGS).trace


VALID = {
    f"00-{T}-{P}-00": False,
    f"00-{T}-{P}-01": True,
    f"00-{T}-{P}-02": False,  # the random-trace-id flag of level 2 says nothing on sampling
    f"00-{T}-{P}-03": True,
    f"00-{T}-{P}-fe": False,
    f"00-{T}-{P}-ff": True,
    f"01-{T}-{P}-01": True,
    f"cc-{T}-{P}-01": True,
    f"fe-{T}-{P}-00": False,
    f"01-{T}-{P}-01-": True,
    f"cc-{T}-{P}-01-what-the-future-will-be-like": True,
    f"cc-{T}-{P}-01-XYZ.$": True,
    f"00-{'1' * 32}-{'2' * 16}-01": True,
    f"00-{'0' * 31}1-{'0' * 15}1-00": False,
}


@pytest.mark.parametrize(("value", "sampled"), VALID.items())
def test_a_valid_traceparent_is_continued(value, sampled):
    _, trace_id, parent_id, *_ = value.split("-")
    assert parse_traceparent(value) == TraceContext(trace_id, parent_id, sampled)
    assert trace(("traceparent", value)) == TraceContext(trace_id, parent_id, sampled)


INVALID = [
    "",
    "00",
    f"ff-{T}-{P}-01",
    f"FF-{T}-{P}-01",
    f"00-{'0' * 32}-{P}-01",
    f"00-{T}-{'0' * 16}-01",
    f"01-{'0' * 32}-{P}-01",
    f"00-{T.upper()}-{P}-01",
    f"00-{T}-{P.upper()}-01",
    f"00-{T}-{P}-0A",
    f"0A-{T}-{P}-01",
    f"00-{T[:-1]}-{P}-01",
    f"00-{T}0-{P}-01",
    f"00-{T}-{P[:-1]}-01",
    f"00-{T}-{P}0-01",
    f"00-{T}-{P}-1",
    f"00-{T}-{P}-001",
    f"0-{T}-{P}-01",
    f"000-{T}-{P}-01",
    f"00-{T}-{P}",
    f"00-{T}-{P}-",
    f"00-{T}-{P}-01-",
    f"00-{T}-{P}-01-more",
    f"00-{T}-{P}-01.",
    f"cc-{T}-{P}-01.more",
    f"cc-{T}-{P}-011",
    f"cc-{T}-{P}-0",
    f"00_{T}_{P}_01",
    f"00-{T}-{P}-01\n",
    f"cc-{T}-{P}-01\n",
    f"cc-{T}-{P}-01-x\n",
    f"cc-{T}-{P}-01-\x00",
    f"\n00-{T}-{P}-01",
    f"00-{T[:-1]}g-{P}-01",
    f"00-{T[:-1]}\uff11-{P}-01",
    f"00-{T[:-1]}\u0661-{P}-01",
    f"00-{T}-{P}-zz",
    f"00-{T}-{P}-01,00-{T}-{P}-01",
    f"cc-{T}-{P}-01-" + "x" * 1_000_000,
    "0" * 1_000_000,
]


@pytest.mark.parametrize("value", INVALID, ids=lambda value: ascii(value[:70]))
def test_an_invalid_traceparent_starts_a_new_trace(value):
    assert parse_traceparent(value) is None
    if value.strip(" \t") == value:
        assert trace(("traceparent", value), ("tracestate", "a=1")) == TraceContext(FRESH, None, False)


def test_a_second_traceparent_starts_a_new_trace():
    assert trace(("traceparent", GOOD), ("Traceparent", GOOD)) == TraceContext(FRESH, None, False)


def test_whitespace_around_a_traceparent_is_not_part_of_it():
    assert trace(("traceparent", f" {GOOD}\t")).trace_id == T
    assert parse_traceparent(f" {GOOD}") is None


def test_the_fallback_is_taken_without_a_valid_traceparent():
    other = "1" * 32
    assert trace(("X-Trace-ID", other)) == TraceContext(other, None, False)
    assert trace(("X-Trace-ID", other), ("traceparent", "junk")).trace_id == other
    assert trace(("X-Trace-ID", other), ("traceparent", GOOD)).trace_id == T


@pytest.mark.parametrize(
    "value", ["", "0" * 32, "A" * 32, "1" * 31, "1" * 33, "1" * 32 + "\n", "\uff11" * 32, f"{'1' * 32},{'1' * 32}"]
)
def test_a_malformed_fallback_is_not_taken(value):
    assert trace(("X-Trace-ID", value)).trace_id == FRESH


def test_a_second_fallback_is_not_taken():
    assert trace(("X-Trace-ID", "1" * 32), ("x-trace-id", "1" * 32)).trace_id == FRESH


def test_generated_ids_differ():
    assert extract_context([TENANT]).trace.trace_id != extract_context([TENANT]).trace.trace_id


def state(*values):
    return trace(("traceparent", GOOD), *(("tracestate", value) for value in values)).tracestate


KEY256 = "k" * 256
STATES = [
    ("a=1", "a=1"),
    ("a=1,b=2", "a=1,b=2"),
    ("a=1 ,\tb=2", "a=1,b=2"),
    (" a=1,, ,b=2, ", "a=1,b=2"),
    ("a= 1", "a= 1"),
    ("0a_-*/@=x", "0a_-*/@=x"),
    ("1@2=~!", "1@2=~!"),
    ("", ""),
    ("a=", ""),
    ("a", ""),
    ("=1", ""),
    ("A=1", ""),
    ("_a=1", ""),
    ("a=1=2", ""),
    ("a=\x001", ""),
    ("a=é", ""),
    ("a=1\n", ""),
    ("a b=1", ""),
    ("a=1,a=2", ""),
    ("a=1,b=2,a=1", ""),
    (KEY256 + "=1", KEY256 + "=1"),
    (KEY256 + "k=1", ""),
    ("a=" + "v" * 256, "a=" + "v" * 256),
    ("a=" + "v" * 257, ""),
    (",".join(f"k{n}=1" for n in range(32)), ",".join(f"k{n}=1" for n in range(32))),
    (",".join(f"k{n}=1" for n in range(33)), ""),
    (",".join(f"k{n}=1" for n in range(5_000)), ""),
    ("," * 1_000_000, ""),
]


@pytest.mark.parametrize(("value", "kept"), STATES, ids=lambda value: ascii(value[:40]))
def test_a_tracestate_is_kept_or_dropped_as_a_whole(value, kept):
    assert state(value) == kept


def test_several_tracestate_headers_are_one_list():
    assert state("a=1", "", "b=2") == "a=1,b=2"
    assert state("a=1", "a=2") == ""


def test_a_long_list_loses_its_long_members_first_and_then_its_end():
    small = [f"s{n:02}=" + "v" * 60 for n in range(8)]  # 64 characters each, 519 with commas
    long = "long=" + "v" * 124
    assert state(",".join([long, *small])) == ",".join(small[:-1])
    assert state(",".join([long, *small[:4]])) == ",".join([long, *small[:4]])
    fits = [*small[:7], "z=" + "v" * 55]  # exactly 512
    assert len(",".join(fits)) == 512
    assert state(",".join(fits)) == ",".join(fits)


@pytest.mark.parametrize("pairs", [[], [("traceparent", "junk")], [("X-Trace-ID", "1" * 32)]])
def test_a_tracestate_counts_only_next_to_a_valid_traceparent(pairs):
    assert trace(*pairs, ("tracestate", "a=1")).tracestate == ""


def test_a_bad_tracestate_leaves_the_traceparent_alone():
    assert trace(("traceparent", GOOD), ("tracestate", "!!")) == TraceContext(T, P, True)
