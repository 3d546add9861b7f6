"""`tenaudit consume` as a process between a real broker and a file: what it stored, what it buried, and the replay."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.backends.kafka import KafkaSink
from tenaudit.cli import main
from tenaudit.testing.conformance import an_event
from tests.unit.backends.kafka_parts import committed, ends_of, new_topic, run, send_raw

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]


def answer(capsys, *words):
    code = main([*words, "--store", "sqlite:///audit.db", "--json"])
    return code, json.loads(capsys.readouterr().out)


async def fill(service, events, poison):
    topic = await new_topic(service, partitions=1)
    sink = KafkaSink(service.bootstrap_servers, topic, registry=CollectorRegistry(), delivery_timeout=20)
    await sink.write(events[:20])
    await send_raw(service, topic, poison)
    await sink.write(events[10:])
    await sink.close()
    return topic


async def both(*answers):
    return [await answer for answer in answers]


def until_stored(count, process):
    """Wait for the last event: what came before it is in the same transaction, or an earlier one."""
    stored = 0
    while stored < count:
        assert process.poll() is None
        with closing(sqlite3.connect("audit.db")) as connection:
            stored = connection.execute("SELECT count(*) FROM events").fetchone()[0]


def test_events_and_a_poison_message_from_the_sink_to_the_query(kafka_service, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENAUDIT_DEAD_LETTERS", raising=False)
    events = [an_event(n) for n in range(30)]
    topic = run(fill(kafka_service, events, b"\xff no event"))
    words = ["--kafka", kafka_service.bootstrap_servers, "--topic", topic, "--group", "audit-store"]
    with subprocess.Popen(
        [sys.executable, "-m", "tenaudit.cli", "consume", *words, "--store", "sqlite:///audit.db"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = threading.Timer(90, process.kill)
        watchdog.start()
        try:
            assert process.stderr.readline() == f"consuming {topic} as audit-store; stop with Ctrl-C or SIGTERM\n"
            until_stored(30, process)
            process.terminate()
            out, err = process.communicate(timeout=30)
        finally:
            watchdog.cancel()
            process.kill()
    assert (process.returncode, out) == (0, "")
    assert err == (
        "note: audit records went to the dead letters: not_json\n"
        "stopped: stored 30, duplicates 10, conflicts 0, expired 0, dead letters 1\n"
    )

    assert run(both(committed(kafka_service, topic, "audit-store"), ends_of(kafka_service, topic))) == [
        {0: 41},
        {0: 41},
    ]
    _, told = answer(capsys, "audit", "query", "--order", "asc")
    assert [event["event_id"] for event in told["events"]] == [str(event.event_id) for event in events]
    code, report = answer(capsys, "audit", "verify")
    assert (code, report["events"]) == (0, 30)
    _, told = answer(capsys, "audit", "dlq", "list")
    (letter,) = told["dead_letters"]
    assert (letter["topic"], letter["partition"], letter["offset"], letter["reason"]) == (topic, 0, 20, "not_json")
    assert answer(capsys, "audit", "dlq", "replay", "--all")[0] == 1
