"""After an erasure no value of the person's is found by a surface, a command, in an archive or in the file's bytes."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing, redirect_stdout

import pytest

from tenaudit.audit.event import wire_time
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.cli import main
from tenaudit.testing.conformance.events import TENANT, an_event
from tests.conformance.http.raw_http import exchange, request_bytes
from tests.flow.audit_processes import ADAPTERS, Printed, running
from tests.unit.backends.postgres_databases import run

WHO = "u-8f21c-subject"
HERS = (WHO, "198.51.100.201", "8f21c@example.org", "4111-8f21c")
OTHERS = ("u-77aa-other", "203.0.113.9", "77aa@example.org", "5555-77aa")
PERSONAL = ["--personal", "payload.email", "--personal", "payload.card", "--personal", "resource_id"]
READER = [("X-Tenant-ID", str(TENANT)), ("X-Roles", "Admin")]
EVENTS = 30


def an_act(number, values):
    who, address, mail, card = values
    payload = {"client_ip": address, "email": mail, "card": {"number": card}, "note": f"note {number}"}
    return an_event(number, actor_id=who, resource_id=who, payload=payload)


def printed(*words):
    out = Printed(interrupts=words[0] == "tail")
    with redirect_stdout(out):
        assert main(["audit", *words]) == (130 if words[0] == "tail" else 0)
    out.flush()
    return out.text()


def tokens_in(text, values=HERS):
    return [value for value in values if (value.encode() if isinstance(text, bytes) else value) in text]


@pytest.fixture
def trail(tmp_path_factory):
    """Events of two people, imported by the command that names what is personal; then one of the two is erased."""
    folder = tmp_path_factory.mktemp("erasure")
    events = [an_act(n, HERS if n % 2 else OTHERS) for n in range(EVENTS)]
    lines = folder / "events.ndjson"
    lines.write_text("".join(json.dumps(event.record()) + "\n" for event in events))
    store = f"sqlite:///{folder}/audit.db"
    assert main(["import", "--format", "ndjson", "--store", store, *PERSONAL, str(lines)]) == 0
    where = ["--store", store, "--tenant", str(TENANT)]
    assert tokens_in(printed("export", *where)) == [*HERS]
    whole = json.loads(printed("erase", "--store", store, "--subject", WHO, "--by", "u-officer", "--json"))
    assert (whole["complete"], whole["held"], whole["values"]) == (True, [], EVENTS // 2 * 5)
    (told,) = whole["tenants"]
    assert (told["tenant_id"], told["events"], told["values"]) == (str(TENANT), EVENTS // 2, EVENTS // 2 * 5)
    assert {one["what"] for one in told["not_reached"]} == {
        "streams",
        "spools and outboxes",
        "free pages, logs and backups",
    }
    return folder, where, events


def test_no_command_prints_one(trail):
    _, where, events = trail
    texts = {
        "query": printed("query", *where, "--json"),
        "table": printed("query", *where),
        "export": printed("export", *where),
        "csv": printed("export", *where, "--format", "csv"),
        "ocsf": printed("export", *where, "--format", "ocsf"),
        "ecs": printed("export", *where, "--format", "ecs"),
        "stats": printed("stats", *where, "--json"),
        "tail": printed("tail", *where, "--json", "--from-start"),
    }
    for name, text in texts.items():
        assert tokens_in(text) == [], name
    assert tokens_in(texts["export"], OTHERS) == [*OTHERS]
    assert texts["export"].count('"note"') == len(events)
    assert json.loads(printed("query", *where, "--actor", WHO, "--json"))["events"] == []
    assert printed("verify", "--store", where[1]).startswith(f"verified: events {EVENTS + 1}")


def test_no_server_shows_one(trail, tmp_path):
    folder, _, events = trail
    with running(tmp_path, "tests.flow.erasure_service", str(folder / "audit.db")) as ports:
        for adapter in ADAPTERS:

            def get(route, port=ports[adapter]):
                answer = exchange(port, request_bytes("GET", f"/audit/{route}", READER))
                assert answer.status == 200, answer
                return answer.body.decode()

            texts = [
                get("events?limit=100&include_redacted=true"),
                get("export"),
                get("export?format=csv"),
                get("stats"),
                *(get(f"events/{event.event_id}") for event in events[:4]),
            ]
            for text in texts:
                assert tokens_in(text) == [], adapter
            assert tokens_in(texts[0], OTHERS) == [*OTHERS]
            assert json.loads(get(f"events?actor={WHO}"))["events"] == json.loads(get("events?q=8f21c"))["events"] == []


def test_what_is_imported_again_is_there_already(trail, capsys):
    folder, where, _ = trail
    assert main(["import", "--format", "ndjson", "--store", where[1], *PERSONAL, str(folder / "events.ndjson")]) == 0
    assert f"duplicates  {EVENTS}\n" in capsys.readouterr().out
    assert tokens_in(printed("export", *where)) == []


def test_the_bytes_of_the_file_hold_none(trail):
    folder, _, _ = trail
    # What was erased was overwritten, and the write-ahead log cut off.
    assert tokens_in(b"".join(path.read_bytes() for path in folder.glob("audit.db*"))) == []
    with closing(sqlite3.connect(folder / "audit.db", isolation_level=None)) as file:
        file.execute("VACUUM")
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = b"".join(path.read_bytes() for path in folder.glob("audit.db*"))
    assert tokens_in(kept) == []
    assert tokens_in(kept, OTHERS) == [*OTHERS]


def test_an_archive_made_after_it_holds_none(trail, tmp_path):
    folder, _, events = trail
    young = an_act(EVENTS, OTHERS).model_copy(update={"event_id": an_event(EVENTS).event_id})

    async def purged():
        async with SqliteStore.open(folder / "audit.db") as store:
            await store.append([young])
            return await store.purge(archive=tmp_path, default_days=1)

    report = run(purged())
    assert report.rows >= len(events)
    texts = [gzip.decompress(path.read_bytes()) for path in tmp_path.rglob("*.gz")]
    assert sum(text.count(b'"note"') for text in texts) >= len(events)
    assert tokens_in(b"".join(texts)) == []
    assert wire_time(report.at)
