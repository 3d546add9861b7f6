"""Properties of the label guard: bounded, conserving, and true to what it knew."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from tenaudit.errors import HttpMetrics, LabelGuard

_values = st.text(st.characters(exclude_categories=[]), max_size=6)


@given(
    limit=st.integers(1, 8),
    known=st.lists(st.text("abc", min_size=1, max_size=2), unique=True, max_size=8),
    values=st.lists(_values | st.text("abc", min_size=1, max_size=2), max_size=60),
    sealed=st.booleans(),
)
def test_labels_are_bounded_and_no_value_is_lost(limit, known, values, sealed):
    known = known[:limit]
    guard = LabelGuard(limit, known=known, sealed=sealed)
    labels = [guard.label(value) for value in values]
    counted = Counter(labels)
    assert counted.total() == len(values)
    assert len({*counted, *known}) <= limit + 1
    assert all(label in {value, "_overflow"} for label, value in zip(labels, values, strict=True))
    assert all(label == value for label, value in zip(labels, values, strict=True) if value in known)
    assert counted["_overflow"] == guard.overflowed
    assert len(known) <= guard.distinct <= limit
    assert guard.saturation == 100 * guard.distinct / limit
    if sealed:
        assert set(counted) <= {*known, "_overflow"}


@given(values=st.lists(_values, max_size=40))
def test_a_label_never_changes_once_it_was_given(values):
    guard = LabelGuard(5)
    first: dict[str, str] = {}
    for value in values * 2:
        given_now = guard.label(value)
        if first.setdefault(value, given_now) != "_overflow":
            assert given_now == value


@given(
    requests=st.lists(st.tuples(_values, st.none() | _values, st.integers(100, 599)), max_size=20),
    errors=st.lists(st.tuples(_values, st.integers(400, 599)), max_size=20),
)
def test_whatever_is_counted_can_be_scraped_and_adds_up(requests, errors):
    registry = CollectorRegistry()
    metrics = HttpMetrics("s", registry=registry)
    for method, route, status in requests:
        metrics.request(method, route, status, 0.1)
    for code, status in errors:
        metrics.error(code, status)
    generate_latest(registry)
    sums = Counter()
    for family in registry.collect():
        for sample in family.samples:
            sums[sample.name] += sample.value
    assert sums["http_requests_total"] == sums["http_request_duration_seconds_count"] == len(requests)
    assert sums["http_errors_total"] == len(errors)
