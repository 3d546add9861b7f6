"""`tenaudit relay` into Kafka: what arrives on the topic, and the one line when it cannot begin."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.backends.sqlite.outbox import SqliteOutbox, create_outbox
from tenaudit.cli import main
from tests.unit.backends.kafka_parts import new_topic, records_on, run
from tests.unit.backends.outbox_parts import context_of


@pytest.fixture(autouse=True)
def outbox(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENAUDIT_OUTBOX", "sqlite:///app.db")
    box = SqliteOutbox("orders", registry=CollectorRegistry())
    with closing(sqlite3.connect("app.db", isolation_level=None)) as connection:
        create_outbox(connection)
        connection.execute("BEGIN")
        for n in range(3):
            box.emit_nowait(connection, "order.created", payload={"n": n}, context=context_of(1))
        connection.execute("COMMIT")


@pytest.mark.services
def test_events_go_to_the_topic(kafka_service, capsys):
    topic = run(new_topic(kafka_service))
    sink = f"kafka://{kafka_service.bootstrap_servers}/{topic}"
    assert main(["relay", "--once", "--sink", sink]) == 0
    assert capsys.readouterr().out == "relayed 3\n"
    found = run(records_on(kafka_service, topic))
    assert [json.loads(record.value)["payload"]["n"] for record in found] == [0, 1, 2]


@pytest.mark.parametrize(
    ("sink", "says"),
    [
        ("kafka://127.0.0.1:1", "the sink needs a topic"),
        ("kafka:///topic", "must be kafka://HOST:PORT/TOPIC, several by commas, not ''"),
        ("kafka://nowhere/topic", "must be kafka://HOST:PORT/TOPIC, several by commas, not 'nowhere'"),
        ("kafka://b:99999/topic", "must be kafka://HOST:PORT/TOPIC, several by commas, not 'b:99999'"),
        ("kafka://b:0/topic", "must be kafka://HOST:PORT/TOPIC, several by commas, not 'b:0'"),
        ("kafka://u:s3cr3t@127.0.0.1:1/topic", "without a user; name one with --sasl-user"),
        ("kafka://u:s3cr3t/x@127.0.0.1:1/topic", "without a user"),
        ("kafka://127.0.0.1:1/no topic", "topic must be 1 to 249 letters"),
    ],
)
def test_what_is_no_topic_is_one_line(sink, says, capsys):
    assert main(["relay", "--once", "--sink", sink]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert says in said.err
    assert said.err.count("\n") == 1
    assert "s3cr3t" not in said.err


@pytest.mark.parametrize(
    ("sink", "words", "says"),
    [
        ("jsonl:///out.jsonl", ["--tls"], "--tls needs a sink that is kafka://HOST:PORT/TOPIC"),
        ("sqlite:///audit.db", ["--sasl", "PLAIN"], "--sasl needs a sink that is kafka://HOST:PORT/TOPIC"),
        ("jsonl:///out.jsonl", ["--sasl-password-file", "p"], "--sasl-password-file needs a sink that is kafka://"),
        ("kafka://127.0.0.1:1/topic", ["--tls-ca", "ca.pem"], "--tls-ca needs --tls"),
        ("kafka://127.0.0.1:1/topic", ["--sasl", "PLAIN", "--sasl-user", "u"], "in clear; add --tls"),
    ],
)
def test_what_cannot_be_secured_is_one_line_and_makes_no_file(sink, words, says, tmp_path, capsys):
    assert main(["relay", "--once", "--sink", sink, *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert says in said.err
    assert said.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["app.db"]


def test_a_user_of_the_whole_machine_keeps_no_other_sink_away(monkeypatch, capsys):
    monkeypatch.setenv("TENAUDIT_KAFKA_USER", "audit")
    assert main(["relay", "--once", "--sink", "jsonl:///out.jsonl"]) == 0
    assert capsys.readouterr().out == "relayed 3\n"


def test_a_broker_that_is_not_there_is_one_line():
    words = [sys.executable, "-m", "tenaudit.cli", "relay", "--once", "--sink", "kafka://127.0.0.1:1/topic"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: Kafka topic topic: no broker listens there\n"
