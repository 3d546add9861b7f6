"""HTTP metrics: values, bounded labels, shared families, multiprocess mode."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tenaudit.errors import ConfigurationError, ErrorCatalogue, HttpMetrics
from tenaudit.errors.instruments import counter, gauge, histogram


def made(**options):
    registry = CollectorRegistry()
    return HttpMetrics("orders", registry=registry, **options), registry


def samples(registry, name):
    found = (sample for family in registry.collect() for sample in family.samples)
    return {tuple(sorted(s.labels.items())): s.value for s in found if s.name == name}


def values(registry, name, label):
    return {dict(labels)[label] for labels in samples(registry, name)}


def test_a_request_is_counted_and_timed_by_its_template():
    metrics, registry = made()
    for seconds in (0.003, 0.2):
        metrics.request("GET", "/orders/{id}", 200, seconds)
    metrics.request("GET", None, 404, 0.001)
    labels = {"service": "orders", "method": "GET", "route": "/orders/{id}"}
    assert registry.get_sample_value("http_requests_total", {**labels, "status": "200"}) == 2
    assert registry.get_sample_value("http_request_duration_seconds_count", labels) == 2
    assert registry.get_sample_value("http_request_duration_seconds_sum", labels) == pytest.approx(0.203)
    assert registry.get_sample_value("http_request_duration_seconds_bucket", {**labels, "le": "0.005"}) == 1
    unmatched = {**labels, "route": "_unmatched"}
    assert registry.get_sample_value("http_requests_total", {**unmatched, "status": "404"}) == 1


def test_the_gauges_start_with_the_catalogue():
    catalogue = ErrorCatalogue()
    catalogue.declare("order_closed", 409, "x")
    _, registry = made(catalogue=catalogue)
    known = len(catalogue.codes)
    assert registry.get_sample_value("http_error_codes_distinct") == known
    assert registry.get_sample_value("http_error_code_saturation") == 100 * known / 40
    assert registry.get_sample_value("http_error_code_overflow_total") == 0


def test_hostile_codes_overflow_while_the_other_labels_survive():
    metrics, registry = made()
    for n in range(5000):
        metrics.error(f"hostile_{n}", 400 + n % 3)
    metrics.error("not_found", 404)
    counted = samples(registry, "http_errors_total")
    assert len(values(registry, "http_errors_total", "code") | set(ErrorCatalogue().codes)) == 41
    assert sum(counted.values()) == 5001
    assert values(registry, "http_errors_total", "service") == {"orders"}
    overflow = {dict(k)["status"]: v for k, v in counted.items() if dict(k)["code"] == "_overflow"}
    assert set(overflow) == {"400", "401", "402"}
    assert sum(overflow.values()) == registry.get_sample_value("http_error_code_overflow_total") == 5000 - 21
    assert registry.get_sample_value("http_error_codes_distinct") == 40
    assert registry.get_sample_value("http_error_code_saturation") == 100


def test_hostile_methods_and_routes_are_bounded():
    metrics, registry = made()
    for n in range(3000):
        metrics.request(f"M{n}\udcff", f"/r{n}", 200, 0.0)
    assert values(registry, "http_requests_total", "method") == {"_other"}
    routes = values(registry, "http_requests_total", "route")
    assert len(routes) == 1001
    assert "_overflow" in routes
    assert sum(samples(registry, "http_requests_total").values()) == 3000


def test_no_code_can_break_the_scrape():
    metrics, registry = made()
    for code in ("\udcff", 'a"b\n', "é", "x" * 1_000_000):
        metrics.error(code, 400)
    assert len(generate_latest(registry)) < 100_000


def test_a_catalogue_above_the_cap_fails_at_load():
    catalogue = ErrorCatalogue()
    for n in range(41 - len(catalogue.codes)):
        catalogue.declare(f"own_{n}", 400, "x")
    with pytest.raises(ConfigurationError, match="limit of 40"):
        made(catalogue=catalogue)
    made(catalogue=catalogue, code_limit=41)


def test_threads_lose_no_count():
    metrics, registry = made()
    start = threading.Barrier(4)

    def work(name):
        start.wait(10)
        for n in range(2000):
            metrics.error(f"code_{n % 60}_{name}", 400)
            metrics.request("GET", "/a", 200, 0.0)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(samples(registry, "http_errors_total").values()) == 8000
    assert sum(samples(registry, "http_requests_total").values()) == 8000
    assert registry.get_sample_value("http_error_codes_distinct") == metrics.codes.distinct == 40


def test_two_services_share_the_families_of_one_registry():
    first, registry = made()
    HttpMetrics("billing", registry=registry).error("not_found", 404)
    first.error("not_found", 404)
    assert values(registry, "http_errors_total", "service") == {"orders", "billing"}


def test_instruments_are_made_once_for_each_registry():
    one, two = CollectorRegistry(), CollectorRegistry()
    assert counter(one, "a_total", "x") is counter(one, "a_total", "x")
    assert counter(one, "a_total", "x") is not counter(two, "a_total", "x")
    assert gauge(one, "b", "x") is gauge(one, "b", "x")
    assert histogram(one, "c", "x", buckets=(1,)) is histogram(one, "c", "x", buckets=(1,))
    with pytest.raises(TypeError, match="already registered as a Counter"):
        gauge(one, "a_total", "x")


def test_a_registry_is_let_go_with_its_families():
    metrics, registry = made()
    gone = weakref.ref(registry)
    del metrics, registry
    gc.collect()
    assert gone() is None


_WORKER = """
import os, sys
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from tenaudit.errors import HttpMetrics
metrics = HttpMetrics("orders", registry=CollectorRegistry())
for n in range(100):
    metrics.error(f"{sys.argv[1]}_{n}", 400)
metrics.error("not_found", 404)
metrics.request("GET", "/a", 200, 0.1)
if sys.argv[2] == "read":
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    for family in registry.collect():
        for sample in family.samples:
            if sample.name.startswith("http_error"):
                print(sample.name, sample.labels.get("code", "-"), sample.value)
"""


def test_workers_of_a_multiprocess_server_agree_on_the_labels(tmp_path):
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for name, then in (("first", "leave"), ("second", "read")):
        command = [sys.executable, "-c", _WORKER, name, then]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
    lines = set(done.stdout.split("\n"))
    known = len(ErrorCatalogue().codes)
    assert lines == {
        "http_errors_total _overflow 200.0",
        "http_errors_total not_found 2.0",
        "http_error_code_overflow_total - 200.0",
        f"http_error_codes_distinct - {float(known)}",
        f"http_error_code_saturation - {100 * known / 40}",
        "",
    }


def test_a_folder_of_workers_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match=r"PROMETHEUS_MULTIPROC_DIR is '.*none', which is no folder"):
        made()


def test_an_empty_name_is_no_folder_of_workers(monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    with pytest.raises(ConfigurationError, match="PROMETHEUS_MULTIPROC_DIR is ''"):
        made()
