"""What operators are told: three formats by Accept, exemplars in one of them, the queue's health."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Gauge
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tenaudit import ApiError, AuditProducer, Gate, extract_context
from tenaudit.backends.memory import MemorySink
from tenaudit.gate import health_reply, metrics_reply
from tenaudit.security import TraceContext

OPEN = "application/openmetrics-text"
TRACE = TraceContext("0af7651916cd43dd8448eb211c80319c", None, sampled=True)
# What Prometheus 3 sends.
PROMETHEUS = (
    f"{OPEN};version=1.0.0;escaping=allow-utf-8;q=0.6,{OPEN};version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def made(**options):
    return Gate("shop", registry=CollectorRegistry(), **options)


def kind(reply):
    return dict(reply.headers)["content-type"].partition(";")[0]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/plain", "text/plain"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/plain"),
        ("application/*", "text/plain"),
        ("image/png", "text/plain"),
        ("text/*;q=0.5, */*;q=0.1", "text/plain"),
        ("application/json", "application/json"),
        ("Application/JSON; charset=utf-8", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("application/json;q=0", "text/plain"),
        ("application/json;q=0.5, text/plain", "text/plain"),
        ("application/json;q=0.5, text/plain;q=0.4", "application/json"),
        ("text/x, application/json-seq", "text/plain"),
        (OPEN, OPEN),
        (PROMETHEUS, OPEN),
        (f"{OPEN}; version=1.0.0; charset=utf-8", OPEN),
        (f"{OPEN};q=0.1, text/plain;q=0.9", "text/plain"),
        (f"{OPEN};q=0", "text/plain"),
        (f"application/json, {OPEN}", OPEN),
        (f"{OPEN};version=abc", OPEN),
        (f"{OPEN};version=9.9;escaping=nonsense", OPEN),
    ],
)
def test_accept_chooses_the_format(accept, wanted):
    reply = metrics_reply(made(), accept)
    assert (reply.status, kind(reply)) == (200, wanted)
    assert dict(reply.headers)["content-length"] == str(len(reply.body))
    assert "abc" not in dict(reply.headers)["content-type"]
    assert "nonsense" not in dict(reply.headers)["content-type"]


def test_each_format_is_what_it_says_and_tells_the_same():
    gate = made()
    gate.settle("GET", "/a", 200, 0.01)
    gate.reply(ApiError.not_found(), TRACE)
    text = {
        sample.name: sample.value
        for family in parse_text(metrics_reply(gate).body.decode())
        for sample in family.samples
        if sample.name in ("http_requests_total", "http_errors_total")
    }
    opened = {
        sample.name: sample.value
        for family in parse_openmetrics(metrics_reply(gate, OPEN).body.decode())
        for sample in family.samples
        if sample.name in text
    }
    told = {
        sample["name"]: sample["value"]
        for sample in json.loads(metrics_reply(gate, "application/json").body)["samples"]
        if sample["name"] in text
    }
    assert text == opened == told == {"http_requests_total": 1.0, "http_errors_total": 1.0}


def test_numbers_that_json_has_no_word_for_are_text():
    gate = made()
    family = Gauge("odd", "x", ["of"], registry=gate.registry)
    for of in ("inf", "-inf", "nan"):
        family.labels(of).set(float(of))
    body = json.loads(metrics_reply(gate, "application/json").body, parse_constant=pytest.fail)
    odd = {sample["labels"]["of"]: sample["value"] for sample in body["samples"] if sample["name"] == "odd"}
    assert odd == {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}


def exemplars(gate, accept=OPEN):
    text = metrics_reply(gate, accept).body.decode()
    return {
        sample.name: sample.exemplar.labels["trace_id"]
        for family in parse_openmetrics(text)
        for sample in family.samples
        if sample.exemplar is not None
    }


def test_errors_and_sampled_requests_name_their_trace_to_open_metrics_only():
    gate = made()
    gate.settle("GET", "/a", 200, 0.01, TRACE)
    gate.reply(ApiError.not_found(), TRACE)
    assert exemplars(gate) == {
        "http_request_duration_seconds_bucket": TRACE.trace_id,
        "http_errors_total": TRACE.trace_id,
    }
    assert TRACE.trace_id.encode() not in metrics_reply(gate).body
    assert TRACE.trace_id.encode() not in metrics_reply(gate, "application/json").body


def test_a_trace_that_nobody_keeps_is_no_exemplar_of_a_duration():
    gate = made()
    gate.settle("GET", "/a", 200, 0.01, TraceContext(TRACE.trace_id, None, sampled=False))
    gate.settle("GET", "/a", 200, 0.01)
    assert exemplars(gate) == {}


def test_each_bucket_names_its_last_sampled_trace():
    gate = made()
    ids = [f"{n:032x}" for n in range(1, 4)]
    for trace_id, seconds in zip(ids, (0.01, 0.3, 0.01), strict=True):
        gate.settle("GET", "/a", 200, seconds, TraceContext(trace_id, None, sampled=True))
        gate.settle("GET", "/a", 200, seconds)
    text = metrics_reply(gate, OPEN).body.decode()
    told = re.findall(r'le="([^"]+)"[^#\n]*# \{trace_id="(\w+)"\} (\S+)', text)
    assert told == [("0.01", ids[2], "0.01"), ("0.5", ids[1], "0.3")]


def test_the_default_registry_stands_in():
    name = "tenaudit_test_of_the_default_registry"
    family = Gauge(name, "x")
    try:
        assert name.encode() in metrics_reply(Gate("shop")).body
    finally:
        REGISTRY.unregister(family)


def test_health_is_about_the_queue():
    assert json.loads(health_reply(made()).body) == {
        "live": True,
        "ready": True,
        "audit_queue": {"depth": 0, "capacity": 1},
    }
    context = extract_context({"X-Tenant-ID": "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"})
    registry = CollectorRegistry()
    producer = AuditProducer(MemorySink(), service="shop", registry=registry, capacity=2)
    gate = Gate("shop", registry=registry, producer=producer)
    assert health_reply(gate).status == 200
    # Nothing drains it: no loop runs.
    assert [producer.emit("order.created", context=context).status for _ in range(2)] == ["accepted", "accepted"]
    full = health_reply(gate)
    assert (full.status, kind(full)) == (503, "application/json")
    assert json.loads(full.body) == {"live": True, "ready": False, "audit_queue": {"depth": 2, "capacity": 2}}


def test_in_multiprocess_mode_the_answer_is_of_every_worker(tmp_path, monkeypatch):
    worker = "from prometheus_client import Counter; Counter('orders', 'x').inc(3)"
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for _ in range(2):
        subprocess.run([sys.executable, "-c", worker], timeout=30, check=True)
    reply = metrics_reply(made())
    assert b"\norders_total 6.0\n" in reply.body
    assert b"http_errors_total" not in reply.body
    assert b"\norders_total 6.0\n" in metrics_reply(made(), OPEN).body


def test_in_multiprocess_mode_no_exemplar_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    gate = made()
    gate.settle("GET", "/a", 200, 9.0, TRACE)
    gate.reply(ApiError.not_found(), TRACE)
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")
    assert exemplars(gate) == {}


@pytest.mark.parametrize("accept", ["", OPEN, "application/json"])
def test_a_file_of_a_worker_that_cannot_be_read_is_a_503(tmp_path, monkeypatch, caplog, accept):
    gate = made()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (tmp_path / "counter_1.db").write_bytes(b"\x40" + bytes(7) + b"\x7f" * 56)  # 64 bytes in use, a key of far more
    with pytest.raises(ApiError) as caught:
        metrics_reply(gate, accept)
    assert (caught.value.status, caught.value.code) == (503, "unavailable")
    assert [record.action for record in caplog.records] == ["metrics_failed"]


def test_a_folder_that_went_away_is_a_503(tmp_path, monkeypatch):
    gate = made()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "gone"))
    with pytest.raises(ApiError) as caught:
        metrics_reply(gate)
    assert (caught.value.status, caught.value.retry_after) == (503, 1)


def test_a_collector_that_fails_is_a_503(caplog):
    class Broken:
        def describe(self):
            return []

        def collect(self):
            raise RuntimeError("secret")

    gate = made()
    gate.registry.register(Broken())
    with pytest.raises(ApiError) as caught:
        metrics_reply(gate)
    assert (caught.value.status, "secret" in caught.value.message) == (503, False)
    assert [record.action for record in caplog.records] == ["metrics_failed"]
