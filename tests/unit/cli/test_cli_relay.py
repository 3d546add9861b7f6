"""`tenaudit relay`: what it relays, how it stops, and the one line when it cannot begin."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.backends.sqlite import SqliteStore
from tenaudit.backends.sqlite.outbox import SqliteOutbox, create_outbox
from tenaudit.cli import main
from tests.unit.backends.outbox_parts import context_of, own_schema

ONE = context_of(1)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("TENAUDIT_OUTBOX", "TENAUDIT_SINK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def path(tmp_path):
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection, connection:
        create_outbox(connection)
    return tmp_path / "app.db"


def emit(path, *numbers):
    outbox = SqliteOutbox("orders", registry=CollectorRegistry())
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        for n in numbers:
            outbox.emit_nowait(connection, "order.created", payload={"n": n}, context=ONE)
        connection.execute("COMMIT")


def lines(path):
    return [json.loads(line)["payload"]["n"] for line in path.read_text().splitlines()]


def test_once_relays_what_is_there_to_lines(path, tmp_path, capsys):
    emit(path, 1, 2, 3)
    argv = ["relay", "--outbox", "sqlite:///app.db", "--sink", "jsonl:///out.jsonl", "--once", "--batch-size", "2"]
    assert main(argv) == 0
    assert capsys.readouterr().out == "relayed 3\n"
    assert lines(tmp_path / "out.jsonl") == [1, 2, 3]
    assert main(argv) == 0
    assert capsys.readouterr().out == "relayed 0\n"


def test_urls_may_stand_in_the_environment_and_a_store_is_a_sink(path, tmp_path, monkeypatch):
    emit(path, 1, 2)
    monkeypatch.setenv("TENAUDIT_OUTBOX", f"SQLITE:///{path}")
    monkeypatch.setenv("TENAUDIT_SINK", "sqlite:///audit.db")
    assert main(["relay", "--once"]) == 0

    async def stored():
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            return (await store.verify()).events

    assert asyncio.run(stored()) == 2


def test_an_outbox_is_made_only_when_asked(tmp_path, capsys):
    argv = ["relay", "--outbox", "sqlite:///new.db", "--sink", "jsonl:///out.jsonl", "--once"]
    assert main(argv) == 2
    assert "--create" in capsys.readouterr().err
    assert main([*argv, "--create"]) == 0
    emit(tmp_path / "new.db", 7)
    assert main(argv) == 0
    assert lines(tmp_path / "out.jsonl") == [7]


@pytest.mark.services
def test_an_outbox_in_postgresql(postgres_service, tmp_path, capsys):
    with own_schema(postgres_service) as dsn:
        bare = dsn.rpartition("search_path=")[0] + "search_path=nowhere"
        assert main(["relay", "--outbox", dsn, "--sink", "jsonl:///out.jsonl", "--once", "--create"]) == 0
        assert capsys.readouterr().out == "relayed 0\n"
        assert main(["relay", "--outbox", bare, "--sink", "jsonl:///out.jsonl", "--once"]) == 2
        said = capsys.readouterr().err
    assert (
        said
        == "error: PostgreSQL has no tables of the outbox; make them with create_outbox or tenaudit relay --create\n"
    )


@pytest.mark.parametrize(
    ("outbox", "sink", "says"),
    [
        ("app.db", "jsonl:///out.jsonl", "the outbox is no URL"),
        ("mysql://u:s3cr3t@h/d", "jsonl:///out.jsonl", "no outbox is known for mysql:"),
        ("sqlite:app.db", "jsonl:///out.jsonl", "the outbox needs three slashes"),
        ("sqlite:///", "jsonl:///out.jsonl", "the outbox needs three slashes"),
        ("sqlite:///no.db", "jsonl:///out.jsonl", "there is no file no.db"),
        (
            "sqlite:///empty.db",
            "jsonl:///out.jsonl",
            "no tables of the outbox; make them with create_outbox or tenaudit relay --create",
        ),
        ("sqlite:///app.db", "out.jsonl", "the sink is no URL"),
        ("sqlite:///app.db", "smtp://u:s3cr3t@h", "no sink is known for smtp:"),
        ("sqlite:///app.db", "jsonl://out.jsonl", "the sink needs three slashes"),
        ("sqlite:///app.db", "jsonl:///no/out.jsonl", "folder no does not exist"),
        ("sqlite:///app.db", "sqlite:///no/audit.db", "folder no does not exist"),
        ("sqlite:///app.db", "jsonl:///folder", "folder: Is a directory"),
        ("postgresql://u:s3cr3t@127.0.0.1:1/d", "jsonl:///out.jsonl", "PostgreSQL failed"),
    ],
)
def test_what_cannot_be_relayed_is_one_line(outbox, sink, says, path, tmp_path, capsys):
    emit(path, 1)
    (tmp_path / "empty.db").touch()
    (tmp_path / "folder").mkdir()
    assert main(["relay", "--outbox", outbox, "--sink", sink, "--once"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert says in said.err
    assert "s3cr3t" not in said.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(path, tmp_path, number):
    emit(path, 1, 2)
    with subprocess.Popen(
        [sys.executable, "-m", "tenaudit.cli", "relay", "--outbox", "sqlite:///app.db", "--sink", "jsonl:///out.jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            assert process.stdout.readline() == "relaying; stop with Ctrl-C or SIGTERM\n"
            with closing(sqlite3.connect(path)) as connection:
                while connection.execute("SELECT count(*) FROM tenaudit_outbox").fetchone() != (0,):
                    assert process.poll() is None
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
        finally:
            watchdog.cancel()
            process.kill()
    assert (process.returncode, out, err) == (0, "relayed 2\n", "")
    assert lines(tmp_path / "out.jsonl") == [1, 2]


def test_what_goes_wrong_on_the_way_is_a_note_and_no_end(path, tmp_path, capsys):
    emit(path, 1, 2)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tenaudit_outbox SET event = '{' WHERE id = 1")

    def stop_when_empty():
        with closing(sqlite3.connect(path)) as connection:
            while connection.execute("SELECT count(*) FROM tenaudit_outbox").fetchone() != (0,):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: None)
    stopper = threading.Thread(target=stop_when_empty)
    stopper.start()
    try:
        assert main(["relay", "--outbox", "sqlite:///app.db", "--sink", "jsonl:///out.jsonl"]) == 0
    finally:
        stopper.join(30)
        signal.signal(signal.SIGTERM, before)
    said = capsys.readouterr()
    assert said.err == "note: events of the outbox went to its dead letters: unreadable\n"
    assert said.out.endswith("relayed 2\n")
    assert lines(tmp_path / "out.jsonl") == [2]


def test_the_help_names_the_variables(capsys):
    assert main(["relay", "--help"]) == 0
    said = capsys.readouterr().out
    assert "TENAUDIT_OUTBOX" in said
    assert "TENAUDIT_SINK" in said
