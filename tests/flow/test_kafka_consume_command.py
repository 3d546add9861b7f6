"""`tenaudit consume` as a process between a real broker and a store: what it stored, what it buried, and the replay."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.backends.kafka import KafkaSink
from tenaudit.cli import main
from tenaudit.testing.conformance import an_event
from tests.unit.backends.kafka_parts import committed, ends_of, new_topic, run, send_raw
from tests.unit.backends.postgres_databases import ROLES, migrated, user

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]


def answer(capsys, *words, store="sqlite:///audit.db"):
    code = main([*words, "--store", store, "--json"])
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


def until_counted(count, process, capsys, store):
    events = -1
    while events < count:
        assert process.poll() is None
        events = answer(capsys, "audit", "verify", store=store)[1]["events"]


def until_stored(count, process):
    """Wait for the last event: what came before it is in the same transaction, or an earlier one."""
    stored = 0
    while stored < count:
        assert process.poll() is None
        with closing(sqlite3.connect("audit.db")) as connection:
            stored = connection.execute("SELECT count(*) FROM events").fetchone()[0]


@contextmanager
def consuming(service, topic, *words):
    """The command as a process of its own, past its first line."""
    argv = ["--kafka", service.bootstrap_servers, "--topic", topic, "--group", "audit-store", *words]
    with subprocess.Popen(
        [sys.executable, "-m", "tenaudit.cli", "consume", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = threading.Timer(90, process.kill)
        watchdog.start()
        try:
            assert process.stderr.readline() == f"consuming {topic} as audit-store; stop with Ctrl-C or SIGTERM\n"
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def test_events_and_a_poison_message_from_the_sink_to_the_query(kafka_service, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENAUDIT_DEAD_LETTERS", raising=False)
    events = [an_event(n) for n in range(30)]
    topic = run(fill(kafka_service, events, b"\xff no event"))
    with consuming(kafka_service, topic, "--store", "sqlite:///audit.db") as process:
        until_stored(30, process)
        process.terminate()
        out, err = process.communicate(timeout=30)
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


def test_what_a_policy_names_reaches_neither_the_store_nor_the_dead_letters(
    kafka_service, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENAUDIT_DEAD_LETTERS", raising=False)
    monkeypatch.setenv("AUDIT_REDACT_FIELDS", "actor_id")
    (tmp_path / "redaction.toml").write_text('[redaction]\nmask = ["payload.card"]\n')
    events = [an_event(n, actor_id="alice@example.com", payload={"card": "4242424242424242"}) for n in range(30)]
    topic = run(fill(kafka_service, events, b"\xff no event"))
    words = ["--store", "sqlite:///audit.db", "--redact-policy", "redaction.toml"]
    with consuming(kafka_service, topic, *words) as process:
        until_stored(30, process)
        process.terminate()
        _, err = process.communicate(timeout=30)
    # What came twice is the same event both times.
    assert "stored 30, duplicates 10, conflicts 0" in err
    _, told = answer(capsys, "audit", "query")
    seen = {(event["actor_id"], event["payload"]["card"]) for event in told["events"]}
    assert seen == {("****.com", "****4242")}
    assert b"4242424242424242" not in (tmp_path / "audit.db").read_bytes()


@pytest.fixture
def trail(postgres_service):
    """The DSN of a user who may only write, and of one who may delete dead letters too."""
    with (
        migrated(postgres_service.dsn) as owner,
        user(owner, "tenaudit_writer") as writer,
        user(owner, *ROLES, "tenaudit_purger") as operator,
    ):
        yield writer, operator


def test_full_dead_letters_in_postgresql_hold_up_the_stream_until_there_is_room(
    kafka_service, trail, monkeypatch, capsys
):
    writer, operator = trail
    monkeypatch.setenv("TENAUDIT_STORE", writer)
    monkeypatch.delenv("TENAUDIT_DEAD_LETTERS", raising=False)
    events = [an_event(n) for n in range(20)]
    topic = run(fill(kafka_service, events, b"\xff no event"))
    run(send_raw(kafka_service, topic, b"\xfe neither"))
    run(send_raw(kafka_service, topic, b'{"no": "event"}'))
    with consuming(kafka_service, topic, "--max-dead-letters", "1", "--metrics-port", "0") as process:
        url = process.stderr.readline().removeprefix("metrics at ").strip()
        waits = "note: the audit consumer waits for what fails: dead_letters_full, DeadLettersFull\n"
        assert process.stderr.readline() == "note: audit records went to the dead letters: not_json\n"
        assert process.stderr.readline() == waits
        with urlopen(url, timeout=10) as metrics:
            assert 'audit_ingest_failures_total{reason="dead_letters_full"}' in metrics.read().decode()
        # Nothing was committed, and nothing was dropped to make room.
        assert run(committed(kafka_service, topic, "audit-store")) in ({}, {0: 20})
        _, told = answer(capsys, "audit", "dlq", "list", store=operator)
        (first,) = told["dead_letters"]
        assert (first["offset"], first["reason"]) == (20, "not_json")

        words = ("audit", "dlq", "discard", str(first["id"]), "--yes")
        assert main([*words, "--store", writer]) == 2
        assert "grant tenaudit_purger" in capsys.readouterr().err
        discarded = [first["id"]]
        assert answer(capsys, *words, store=operator) == (0, {"discarded": discarded})
        reasons = [first["reason"]]
        while len(reasons) < 3:
            assert process.poll() is None
            _, told = answer(capsys, "audit", "dlq", "list", store=operator)
            for letter in told["dead_letters"]:
                reasons.append(letter["reason"])
                answer(capsys, "audit", "dlq", "discard", str(letter["id"]), "--yes", store=operator)
        until_counted(20, process, capsys, operator)
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert err.endswith("stopped: stored 20, duplicates 10, conflicts 0, expired 0, dead letters 3\n")
    assert reasons == ["not_json", "not_json", "invalid_event"]
    assert run(both(committed(kafka_service, topic, "audit-store"), ends_of(kafka_service, topic))) == [
        {0: 33},
        {0: 33},
    ]
