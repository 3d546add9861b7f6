"""A forked child's Kafka sink: connections of its own, and none of the parent's touched."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.unit.backends.kafka_parts import new_topic, records_on, run

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

SCRIPT = """
import asyncio, os, sys, threading, traceback
from prometheus_client import CollectorRegistry
from tenaudit.backends.kafka import KafkaSink
from tenaudit.testing.conformance import an_event

sink = KafkaSink(sys.argv[1], sys.argv[2], registry=CollectorRegistry(), delivery_timeout=20)
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever, daemon=True)
thread.start()

def on_loop(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

on_loop(sink.write([an_event(0)]))
pid = os.fork()
if pid == 0:
    try:
        async def child():
            await sink.write([an_event(1)])
            await sink.close()

        asyncio.run(child())
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
on_loop(sink.write([an_event(2)]))
on_loop(sink.close())
loop.call_soon_threadsafe(loop.stop)
thread.join(10)
loop.close()
"""


def test_parent_and_child_both_deliver(kafka_service):
    topic = run(new_topic(kafka_service))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kafka_service.bootstrap_servers, topic],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [json.loads(record.value)["seq"] for record in run(records_on(kafka_service, topic))] == [0, 1, 2]
