"""Counters and histograms of the hot path: what prometheus-client's own would say, from any thread, in every mode."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from tenaudit.errors.instruments import durations, tallies

BOUNDS = (0.001, 0.25, 1.0)
SECONDS = st.one_of(st.sampled_from([0.0, *BOUNDS, 2.0]), st.floats(0, 10))


def samples(registry):
    return [
        (s.name, s.labels, pytest.approx(s.value))
        for family in registry.collect()
        for s in family.samples
        if not s.name.endswith("_created")
    ]


@given(st.lists(st.one_of(st.sampled_from("ab"), st.none())))
def test_a_tally_says_what_a_counter_says_whenever_it_is_asked(steps):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    family = tallies(ours, "hits_total", "Hits.", ("page",))
    counter = Counter("hits_total", "Hits.", ["page"], registry=theirs)
    for page in steps:
        if page is None:
            assert samples(ours) == samples(theirs)
        else:
            family.of(page)()
            counter.labels(page).inc()
    assert samples(ours) == samples(theirs)
    assert samples(ours.restricted_registry(["hits_total"])) == samples(theirs)


@given(st.lists(st.tuples(st.sampled_from("ab"), SECONDS)))
def test_durations_say_what_a_histogram_says(observed):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    family = durations(ours, "wait_seconds", "Waiting.", ("page",), buckets=BOUNDS)
    histogram = Histogram("wait_seconds", "Waiting.", ["page"], registry=theirs, buckets=BOUNDS)
    for page, seconds in observed:
        family.of(page)(seconds, None)
        histogram.labels(page).observe(seconds)
    assert samples(ours) == samples(theirs)


def test_a_wait_that_no_bucket_names_is_in_the_last():
    registry = CollectorRegistry()
    observe = durations(registry, "wait_seconds", "Waiting.", ("page",), buckets=BOUNDS).of("a")
    observe(float("inf"), None)
    observe(-1.0, None)
    assert registry.get_sample_value("wait_seconds_bucket", {"page": "a", "le": "0.001"}) == 1
    assert registry.get_sample_value("wait_seconds_bucket", {"page": "a", "le": "+Inf"}) == 2


def test_a_series_that_was_never_hit_is_shown_as_zero():
    registry = CollectorRegistry()
    tallies(registry, "hits_total", "Hits.", ("page",)).of("a")
    durations(registry, "wait_seconds", "Waiting.", ("page",), buckets=BOUNDS).of("a")
    assert registry.get_sample_value("hits_total", {"page": "a"}) == 0
    assert registry.get_sample_value("wait_seconds_count", {"page": "a"}) == 0


def test_threads_lose_nothing_while_others_collect():
    registry = CollectorRegistry()
    hit = tallies(registry, "hits_total", "Hits.", ("page",)).of("a")
    observe = durations(registry, "wait_seconds", "Waiting.", ("page",), buckets=BOUNDS).of("a")
    start, seen = threading.Barrier(6), []

    def count():
        start.wait(10)
        for _ in range(20_000):
            hit()
            observe(0.5, None)

    def collect():
        start.wait(10)
        seen.extend(registry.get_sample_value("hits_total", {"page": "a"}) for _ in range(200))

    threads = [threading.Thread(target=work) for work in (count, collect, count, collect, count, collect)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert registry.get_sample_value("hits_total", {"page": "a"}) == 60_000
    assert registry.get_sample_value("wait_seconds_sum", {"page": "a"}) == 30_000
    assert registry.get_sample_value("wait_seconds_bucket", {"page": "a", "le": "1.0"}) == 60_000
    assert max(seen) <= 60_000


def test_a_name_is_taken_once():
    registry = CollectorRegistry()
    family = tallies(registry, "hits_total", "Hits.", ("page",))
    assert tallies(registry, "hits_total", "Hits.", ("page",)) is family
    assert family.of("a") == family.of("a")
    durations(registry, "wait_seconds", "Waiting.", ("page",), buckets=BOUNDS)
    for name in ("hits", "wait_seconds"):
        with pytest.raises(ValueError, match="Duplicated timeseries"):
            Counter(name, "x", registry=registry)


_WORKER = """
from prometheus_client import CollectorRegistry
from tenaudit.errors.instruments import durations, tallies
registry = CollectorRegistry()
hit = tallies(registry, "hits_total", "Hits.", ("page",)).of("a")
wait = durations(registry, "wait_seconds", "Waiting.", ("page",), buckets=(0.001, 0.25, 1.0)).of("a")
for _ in range(3):
    hit()
    wait(0.5, "0af7651916cd43dd8448eb211c80319c")
"""


def test_in_multiprocess_mode_every_hit_is_in_the_shared_files_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for _ in range(2):
        # Nobody collects from a worker: what it counted must be in its file by itself.
        subprocess.run([sys.executable, "-c", _WORKER], timeout=30, check=True)
    merge = (
        "from prometheus_client import CollectorRegistry, generate_latest, multiprocess as m; r = CollectorRegistry()"
    )
    show = f"{merge}; m.MultiProcessCollector(r); print(generate_latest(r).decode())"
    text = subprocess.run(
        [sys.executable, "-c", show], timeout=30, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert 'hits_total{page="a"} 6.0' in text
    assert 'wait_seconds_bucket{le="1.0",page="a"} 6.0' in text
    assert 'wait_seconds_sum{page="a"} 3.0' in text


_FORKING = """
import os, signal, threading
from prometheus_client import CollectorRegistry
from tenaudit.errors.instruments import durations, tallies
registry = CollectorRegistry()
hits = tallies(registry, "hits_total", "Hits.", ("page",))
waits = durations(registry, "wait_seconds", "Waiting.", ("page",), buckets=(1.0,))
done = threading.Event()

def work(what):
    while not done.is_set():
        what()

def use():
    for page in "abc":
        hits.of(page)()
        waits.of(page)(0.5, None)
    hits.collect(), waits.collect()  # the registry has a lock of its own, which is not ours to mend

threads = [threading.Thread(target=work, args=(use,)) for _ in range(3)]
for thread in threads:
    thread.start()
ended = []
for _ in range(40):
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        use()
        os._exit(0)
    ended.append(os.waitpid(child, 0)[1])
done.set()
for thread in threads:
    thread.join()
print(ended == [0] * 40)
"""


def test_a_child_of_a_busy_process_counts_and_collects():
    done = subprocess.run([sys.executable, "-c", _FORKING], timeout=120, check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"


def test_the_text_is_what_prometheus_reads():
    registry = CollectorRegistry()
    durations(registry, "wait_seconds", "Waiting.", ("page",), buckets=BOUNDS).of("a")(0.25, None)
    assert generate_latest(registry).decode().splitlines() == [
        "# HELP wait_seconds Waiting.",
        "# TYPE wait_seconds histogram",
        'wait_seconds_bucket{le="0.001",page="a"} 0.0',
        'wait_seconds_bucket{le="0.25",page="a"} 1.0',
        'wait_seconds_bucket{le="1.0",page="a"} 1.0',
        'wait_seconds_bucket{le="+Inf",page="a"} 1.0',
        'wait_seconds_count{page="a"} 1.0',
        'wait_seconds_sum{page="a"} 0.25',
    ]
