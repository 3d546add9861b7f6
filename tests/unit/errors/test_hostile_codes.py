"""One million hostile codes: 41 label values and no count lost, in one process and merged over eight."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from prometheus_client import CollectorRegistry

from tenaudit.errors import ErrorCatalogue, HttpMetrics

_MILLION = 1_000_000
_WORKERS = 8
_KNOWN = ErrorCatalogue().codes


def test_a_million_hostile_codes_in_one_process() -> None:
    registry = CollectorRegistry()
    metrics = HttpMetrics("shop", registry=registry)
    for n in range(_MILLION):
        metrics.error(f"hostile_{n}", 400)
    for code in _KNOWN:
        metrics.error(code, 400)
    by_code = {
        sample.labels["code"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "http_errors_total"
    }
    free = 40 - len(_KNOWN)
    assert len(by_code) == 41
    assert sum(by_code.values()) == _MILLION + len(_KNOWN)
    assert by_code["_overflow"] == metrics.codes.overflowed == _MILLION - free
    assert all(by_code[code] == 1 for code in _KNOWN)
    assert registry.get_sample_value("http_error_codes_distinct") == 40
    assert registry.get_sample_value("http_error_code_saturation") == 100
    assert registry.get_sample_value("http_error_code_overflow_total") == _MILLION - free


_WORKER = """
import sys
from prometheus_client import CollectorRegistry
from tenaudit.errors import ErrorCatalogue, HttpMetrics
worker, codes = int(sys.argv[1]), int(sys.argv[2])
metrics = HttpMetrics("shop", registry=CollectorRegistry())
for n in range(codes):
    metrics.error(f"hostile_{worker}_{n}", 400)
for code in ErrorCatalogue().codes:
    metrics.error(code, 400)
"""
_SCRAPE = """
import json
from prometheus_client import CollectorRegistry
from tenaudit import Gate
from tenaudit.gate import metrics_reply
print(metrics_reply(Gate("other", registry=CollectorRegistry()), "application/json").body.decode())
"""


def test_a_million_hostile_codes_merged_over_eight_processes(tmp_path) -> None:
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    each = _MILLION // _WORKERS
    workers = [
        subprocess.Popen([sys.executable, "-c", _WORKER, str(worker), str(each)], env=env) for worker in range(_WORKERS)
    ]
    try:
        assert [worker.wait(100) for worker in workers] == [0] * _WORKERS
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(10)
    scrape = [sys.executable, "-c", _SCRAPE]
    done = subprocess.run(scrape, env=env, capture_output=True, text=True, timeout=60, check=True)
    samples = [sample for sample in json.loads(done.stdout)["samples"] if sample["name"].startswith("http_error")]
    by_code = {s["labels"]["code"]: s["value"] for s in samples if s["name"] == "http_errors_total"}
    alone = {s["name"]: s["value"] for s in samples if not s["labels"]}
    assert set(by_code) == {*_KNOWN, "_overflow"}
    assert len(by_code) <= 41
    assert sum(by_code.values()) == _MILLION + _WORKERS * len(_KNOWN)
    assert all(by_code[code] == _WORKERS for code in _KNOWN)
    assert by_code["_overflow"] == alone["http_error_code_overflow_total"] == _MILLION
    assert alone["http_error_codes_distinct"] == len(_KNOWN)
    assert alone["http_error_code_saturation"] == 100 * len(_KNOWN) / 40
