"""Gunicorn with two workers: one scrape tells of both, whichever answers it, and of a worker that has ended."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse

from tenaudit import ErrorCatalogue
from tenaudit.testing.services import port, process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_APP = """
import os

from tenaudit import ApiError, Gate
from tenaudit.gate import metrics_reply
from tenaudit.security import TraceContext

gate = Gate("shop", limits=["5/minute"])
trace = TraceContext("0af7651916cd43dd8448eb211c80319c", None, sampled=True)


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/metrics":
        reply = metrics_reply(gate, environ.get("HTTP_ACCEPT", ""))
    else:
        reply = gate.reply(ApiError(400, path.removeprefix("/"), "x"), trace)
        gate.settle("GET", "/{code}", reply.status, 0.3, trace)
    start_response(f"{reply.status} x", [*reply.headers, ("X-Worker", str(os.getpid()))])
    return [reply.body]
"""
_CONFIG = """
from prometheus_client import multiprocess

control_socket_disable = True


def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
"""
_DEADLINE = 30.0


class Service:
    """Two workers behind one port."""

    def __init__(self, listen: int, values: Path) -> None:
        self.values = values
        self._listen = listen
        self.sent: Counter[str] = Counter()

    def get(self, path: str, accept: str = "") -> tuple[int, bytes]:
        # A connection of its own each time: whichever worker is free takes it.
        connection = HTTPConnection("127.0.0.1", self._listen, timeout=5)
        try:
            connection.request("GET", path, headers={"Accept": accept})
            answer = connection.getresponse()
            return int(answer.headers["X-Worker"]), answer.read()
        finally:
            connection.close()

    def fail(self, code: str) -> int:
        worker, body = self.get(f"/{code}")
        assert json.loads(body)["code"] == code
        self.sent[code] += 1
        return worker

    def fail_until(self, done: Any) -> set[int]:
        workers: set[int] = set()
        deadline = time.monotonic() + _DEADLINE
        while not done(workers):
            assert time.monotonic() < deadline, workers
            workers.add(self.fail(f"hostile_{self.sent.total()}"))
            workers.add(self.fail("not_found"))
        return workers

    def samples(self) -> dict[str, Counter[str]]:
        text = self.get("/metrics", "application/openmetrics-text")[1].decode()
        found: dict[str, Counter[str]] = {}
        for family in parse(text):
            for sample in family.samples:
                assert sample.exemplar is None
                found.setdefault(sample.name, Counter())[sample.labels.get("code", "")] += sample.value
        return found


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    values = tmp_path / "values"
    values.mkdir()
    (tmp_path / "shop_of_two.py").write_text(_APP)
    (tmp_path / "conf.py").write_text(_CONFIG)
    listen = port.free_port()
    command = ("-m", "gunicorn", "-w", "2", "-c", "conf.py", "-b", f"127.0.0.1:{listen}", "shop_of_two:app")
    program = process.Program(
        (sys.executable, *command),
        tmp_path,
        tmp_path / "gunicorn.log",
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(values), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process.running(program) as child:
        process.wait_ready(child, lambda: port.accepts(listen) or None, within=_DEADLINE)
        yield Service(listen, values)


def assert_conserved(service: Service) -> None:
    known = set(ErrorCatalogue().codes)
    told = service.samples()
    assert set(told["http_errors_total"]) == {"not_found", "_overflow"} <= known | {"_overflow"}
    assert told["http_errors_total"]["not_found"] == service.sent["not_found"]
    assert told["http_errors_total"].total() == service.sent.total()
    hostile = service.sent.total() - service.sent["not_found"]
    assert told["http_errors_total"]["_overflow"] == told["http_error_code_overflow_total"][""] == hostile
    assert told["http_requests_total"].total() == service.sent.total()
    # Workers agree on these, so that two of them are no reason for twice as much.
    assert told["http_error_codes_distinct"][""] == len(known)
    assert told["http_error_code_saturation"][""] == 100 * len(known) / 40


def test_a_scrape_is_of_all_workers_and_outlives_one(service: Service) -> None:
    first = service.fail_until(lambda workers: len(workers) == 2)
    assert_conserved(service)
    body = json.loads(service.get("/metrics", "application/json")[1])
    errors = [sample["value"] for sample in body["samples"] if sample["name"] == "http_errors_total"]
    assert sum(errors) == service.sent.total()

    gone = max(first)
    assert list(service.values.glob(f"gauge_live*_{gone}.db"))
    os.kill(gone, signal.SIGTERM)
    deadline = time.monotonic() + _DEADLINE
    while list(service.values.glob(f"gauge_live*_{gone}.db")):
        assert time.monotonic() < deadline
        os.sched_yield()
    assert list(service.values.glob(f"counter_{gone}.db"))
    service.fail_until(lambda workers: len(workers - {gone}) == 2)
    assert_conserved(service)
