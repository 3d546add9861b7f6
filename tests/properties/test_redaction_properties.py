"""Redaction equals a naive matcher that tries each path at each place, and never changes its input."""

from __future__ import annotations

import copy
import json

from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit.redaction import MASK, InvalidRedactionPath, compile_paths, redact_event_fields
from tests.properties.redaction_patterns import KEYS, matches, patterns, written

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=25,
)
events = st.dictionaries(st.sampled_from(KEYS), values, max_size=3)

GONE = object()


def naive(value, patterns, act, place=()):
    if place and any(matches(pattern, place) for pattern in patterns):
        return act(value, place)
    if isinstance(value, dict):
        new = {key: naive(item, patterns, act, (*place, key)) for key, item in value.items()}
        return {key: item for key, item in new.items() if item is not GONE}
    if isinstance(value, list):
        return [naive(item, patterns, act, (*place, index)) for index, item in enumerate(value)]
    return value


def naive_mask(value, _place):
    if value is None:
        return None
    if isinstance(value, str) and len(value) > 8:
        return MASK + value[-4:]
    if isinstance(value, str) and len(value) == 8 and value.startswith(MASK):
        return value
    return MASK


def naive_remove(_value, place):
    return GONE if isinstance(place[-1], str) else None


def same(left, right):
    """Equal, telling 1 from True and NaN from nothing."""
    return repr(left) == repr(right)


@given(events, st.lists(patterns, max_size=5))
def test_mask_equals_the_naive_matcher(event, paths):
    before = repr(event)
    found, tags = redact_event_fields(event, [written(path) for path in paths])
    assert same(found, naive(event, paths, naive_mask))
    assert repr(event) == before
    assert list(tags) == sorted(set(tags))
    assert bool(tags) != same(found, event)
    assert all(tag.endswith(":mask") for tag in tags)


@given(events, st.lists(patterns, max_size=5))
def test_remove_equals_the_naive_matcher(event, paths):
    before = repr(event)
    found, tags = redact_event_fields(event, [written(path) for path in paths], action="remove")
    assert same(found, naive(event, paths, naive_remove))
    assert repr(event) == before
    assert bool(tags) != same(found, event)


@given(events, st.lists(patterns, max_size=5))
def test_no_listed_value_stays_reachable(event, paths):
    hashed, _ = redact_event_fields(event, [written(path) for path in paths], action="hash", key=b"key")
    left = []
    naive(hashed, paths, lambda value, _place: left.append(value))
    assert all(value is None or value == MASK or value.startswith("hmac-sha256:") for value in left)


@given(events, st.lists(patterns, max_size=5), st.sampled_from(["mask", "remove", "hash"]))
def test_a_second_time_changes_nothing(event, paths, action):
    texts = [written(path) for path in paths]
    once, _ = redact_event_fields(event, texts, action=action, key=b"key")
    twice, tags = redact_event_fields(once, texts, action=action, key=b"key")
    assert same(twice, once)
    assert tags == ()


@given(events, st.lists(patterns, max_size=4), st.randoms())
def test_the_order_and_doubling_of_paths_do_not_show(event, paths, random):
    texts = [written(path) for path in paths]
    shuffled = texts * 2
    random.shuffle(shuffled)
    assert repr(redact_event_fields(event, shuffled)) == repr(redact_event_fields(event, texts))


hostile = st.recursive(
    scalars | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.none(), inner, max_size=3)
        | st.integers(1, 70).flatmap(lambda levels: inner.map(lambda leaf: wrapped(leaf, levels)))
    ),
    max_leaves=10,
)


def wrapped(value, levels):
    for level in range(levels):
        value = [value] if level % 3 == 0 else {"a": value}
    return value


@given(
    st.dictionaries(st.text(max_size=2) | st.integers(), hostile, max_size=3),
    st.sampled_from(["mask", "remove", "hash"]),
)
def test_hostile_events_never_raise(event, action):
    before = copy.deepcopy(event)
    _, tags = redact_event_fields(event, ["**.a", "*.b[*]", "**[0].*", "**.zzz"], action=action, key=b"key")
    assert repr(event) == repr(before)
    json.dumps(tags).encode("ascii")


@given(st.text() | st.text('ab.*[]"\\0 ', max_size=12))
def test_a_path_is_compiled_or_refused_with_a_position(path):
    try:
        compiled = compile_paths([path])
    except InvalidRedactionPath as refusal:
        position = refusal.position
    else:
        assert compiled.paths == (path,)
        position = 0
    assert 0 <= position <= len(path)
