"""A forked child: an account of its own, an empty queue, and a delivery that works."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections import Counter

import pytest

from tenaudit.audit import AuditQuery
from tenaudit.backends.sqlite import SqliteStore

SCRIPT = """
import asyncio, os, sys, threading, traceback, uuid
from prometheus_client import CollectorRegistry
from tenaudit.audit import AuditProducer
from tenaudit.backends.jsonl import JsonlSink
from tenaudit.backends.sqlite import SqliteSink
from tenaudit.security import Actor, SecurityContext, TraceContext

kind, path = sys.argv[1:]
context = SecurityContext(uuid.UUID(int=1), Actor("u"), frozenset(), TraceContext("a" * 32, None, False))
registry = CollectorRegistry()
sink = SqliteSink.open(path) if kind == "sqlite" else JsonlSink(path)
producer = AuditProducer(sink, service="orders", registry=registry)

def emit(who):
    return producer.emit("order.created", payload={"who": who}, context=context)

# As in a pre-forking server: the parent's delivery runs on a loop of its own thread, and the child has none.
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever, daemon=True)
thread.start()

def on_loop(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

on_loop(producer.__aenter__())
emit("parent")
assert on_loop(producer.flush(20))
accepted = registry.get_sample_value("audit_events_emitted_total", {"outcome": "accepted"})
before = producer.producer_id
pid = os.fork()
if pid == 0:
    try:
        assert producer.stats() == (0, 0, 0, 0, 0, 0)
        assert producer.producer_id != before
        assert emit("child").status == "accepted"

        async def child():
            async with producer:
                emit("child")
                assert await producer.flush(20)

        asyncio.run(child())
        assert producer.stats() == (2, 2, 0, 0, 0, 0), producer.stats()
        assert registry.get_sample_value("audit_events_emitted_total", {"outcome": "accepted"}) == accepted + 2
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    sys.exit(0)
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
emit("parent")
on_loop(producer.close())
assert producer.stats() == (2, 2, 0, 0, 0, 0), producer.stats()
assert producer.producer_id == before
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
def test_a_forked_child_starts_anew_and_delivers(kind, tmp_path):
    path = tmp_path / "audit"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", SCRIPT, kind, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert _who(kind, path) == {"parent": 2, "child": 2}


def _who(kind, path):
    if kind == "jsonl":
        return Counter(json.loads(line)["payload"]["who"] for line in path.read_text().splitlines())

    async def main():
        async with SqliteStore.open(path) as store:
            assert (await store.verify()).verified
            page = await store.search(AuditQuery(uuid.UUID(int=1)))
            return Counter(event.payload["who"] for event in page.events)

    return asyncio.run(main())
