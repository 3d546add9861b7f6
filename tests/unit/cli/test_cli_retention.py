"""`tenaudit audit purge`, `retention` and `hold`, and what `import` says of events that have had their time."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest

from tenaudit._kernel.ids import uuid7_from_source
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.cli import main
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT

STORE = ["--store", "sqlite:///audit.db"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("TENAUDIT_STORE", "AUDIT_RETENTION_DAYS"):
        monkeypatch.delenv(name, raising=False)


def ago(number, days, **fields):
    moment = datetime.now(UTC) - timedelta(days=days)
    event_id = uuid7_from_source(round(moment.timestamp() * 1000), f"event {number}")
    return an_event(number, event_id=event_id, occurred_at=moment, **fields)


def put(*events):
    async def work():
        async with SqliteStore.open("audit.db") as store:
            await store.append(events)

    asyncio.run(work())


def count():
    async def work():
        async with SqliteStore.open("audit.db") as store:
            return await store.count()

    return asyncio.run(work())


def told(capsys, *words, code=0):
    assert main(["audit", *words, *STORE, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def failed(capsys, *words):
    assert main([*words]) == 2
    return capsys.readouterr().err


def test_a_dry_run_says_what_the_purge_then_does(capsys, tmp_path):
    put(ago(0, 40), ago(1, 50), ago(2, 5), ago(3, 60, tenant_id=OTHER_TENANT))
    dry = told(capsys, "purge", "--dry-run")
    assert (dry["dry_run"], dry["rows"], count()) == (True, 3, 4)
    assert main(["audit", "purge", *STORE, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "events 3 would go, held tenants 0" in shown
    assert str(OTHER_TENANT) in shown
    (tmp_path / "kept").mkdir()
    done = told(capsys, "purge", "--archive", "kept", "--by", "me")
    assert (done["rows"], done["complete"], done["partitions"]) == (3, True, [])
    files = [file for one in done["tenants"] for file in one["archives"]]
    lines = b"".join(gzip.decompress((tmp_path / "kept" / file["name"]).read_bytes()) for file in files)
    assert lines.count(b"\n") == 3
    assert main(["audit", "verify", *STORE]) == 0
    capsys.readouterr()
    assert told(capsys, "purge")["rows"] == 0


def test_what_was_archived_can_be_imported_elsewhere(capsys, tmp_path):
    put(ago(0, 40), ago(1, 50))
    (tmp_path / "kept").mkdir()
    assert told(capsys, "purge", "--archive", "kept")["rows"] == 2
    assert main(["import", "--format", "ndjson", "--store", "sqlite:///other.db", "--json", "kept"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["stored"], report["expiring"]) == (2, 2)


def test_one_tenant_can_be_purged_alone_and_an_unknown_one_is_refused(capsys):
    put(ago(0, 40), ago(3, 60, tenant_id=OTHER_TENANT))
    assert told(capsys, "purge", "--tenant", str(OTHER_TENANT))["rows"] == 1
    other = "00000000-0000-0000-0000-000000000001"
    assert f"the store has no tenant {other}" in failed(capsys, "audit", "purge", *STORE, "--tenant", other)


def test_the_default_period_comes_from_the_variable_and_stays_in_the_store(capsys, monkeypatch):
    put(ago(0, 10), ago(1, 3))
    monkeypatch.setenv("AUDIT_RETENTION_DAYS", "7")
    assert told(capsys, "purge", "--dry-run")["rows"] == 1
    assert told(capsys, "retention", "show")["default_days"] == 30
    assert told(capsys, "purge")["rows"] == 1
    assert told(capsys, "retention", "show")["default_days"] == 7
    monkeypatch.setenv("AUDIT_RETENTION_DAYS", "0")
    assert "--default-days" in failed(capsys, "audit", "purge", *STORE)


def test_periods_are_set_and_shown(capsys):
    put(ago(0, 40), ago(1, 40, tenant_id=OTHER_TENANT))
    assert main(["audit", "retention", "set", *STORE, "--tenant", str(TENANT), "--days", "90", "--by", "me"]) == 0
    assert main(["audit", "retention", "set", *STORE, "--days", "20"]) == 0
    shown = told(capsys, "retention", "show")
    assert shown["default_days"] == 20
    assert [(one["days"], one["own"]) for one in shown["tenants"]] == [(90, True), (20, False)]
    assert main(["audit", "retention", "show", *STORE]) == 0
    assert "default period: 20 days" in capsys.readouterr().out
    assert told(capsys, "purge")["rows"] == 1
    assert main(["audit", "retention", "set", *STORE, "--tenant", str(TENANT), "--default"]) == 0
    assert told(capsys, "purge")["rows"] == 1


def test_holds_are_placed_listed_and_released(capsys):
    put(ago(0, 40))
    which = ["--tenant", str(TENANT), *STORE]
    assert main(["audit", "hold", "set", *which, "--reason", "case 7", "--by", "legal"]) == 0
    (one,) = told(capsys, "hold", "list")["holds"]
    assert (one["tenant_id"], one["by"], one["reason"]) == (str(TENANT), "legal", "case 7")
    assert main(["audit", "hold", "list", *STORE]) == 0
    assert "case 7" in capsys.readouterr().out
    assert told(capsys, "purge")["tenants"][0]["held"] is True
    assert main(["audit", "purge", *STORE]) == 0
    assert "held" in capsys.readouterr().out
    again = failed(capsys, "audit", "hold", "set", *which, "--reason", "again")
    assert "is held already; tenaudit audit hold list says by whom" in again
    assert main(["audit", "hold", "release", *which, "--reason", "closed", "--by", "legal"]) == 0
    assert told(capsys, "hold", "list") == {"holds": []}
    assert told(capsys, "purge")["rows"] == 1
    assert "is not held" in failed(capsys, "audit", "hold", "release", *which, "--reason", "again")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["retention", "set", *STORE], "give either --days or --default"),
        (["retention", "set", *STORE, "--days", "3", "--default"], "give either --days or --default"),
        (["retention", "set", *STORE, "--default"], "--default is about a tenant"),
        (["retention", "set", *STORE, "--days", "0"], "--days"),
        (["hold", "set", *STORE, "--tenant", str(TENANT), "--reason", " "], "reason must be a text"),
        (["purge", *STORE, "--batch", "0"], "--batch"),
        (["purge", *STORE, "--archive", "nowhere"], "archive nowhere is no folder that can be written to"),
        (["purge", *STORE, "--by", ""], "by must be a text"),
        (["purge", "--store", "sqlite:///none.db"], "there is no store"),
    ],
)
def test_bad_usage_is_told_in_a_line(capsys, words, says):
    put(ago(0, 40))
    said = failed(capsys, "audit", *words)
    assert says in said
    assert "Traceback" not in said


def test_a_tenant_that_is_not_purged_to_its_end_is_told(capsys, tmp_path):
    import sqlite3

    put(ago(0, 40))
    with sqlite3.connect("audit.db") as connection:
        connection.execute("UPDATE events SET actor_id = 'x'")
    connection.close()
    (tmp_path / "kept").mkdir()
    assert main(["audit", "purge", *STORE, "--archive", "kept"]) == 1
    shown = capsys.readouterr().out
    assert "was altered, so it is not archived; verify the store" in shown
    assert "something was left; purge again" in shown


def test_an_import_says_how_many_go_at_the_next_purge(capsys, tmp_path):
    events = [ago(0, 40), ago(1, 50), ago(2, 5), ago(3, 60, tenant_id=OTHER_TENANT)]
    (tmp_path / "a.ndjson").write_text("".join(json.dumps(event.record()) + "\n" for event in events))
    put(ago(9, 1))
    assert main(["audit", "hold", "set", *STORE, "--tenant", str(OTHER_TENANT), "--reason", "case"]) == 0
    command = ["import", "--format", "ndjson", *STORE, "a.ndjson"]
    assert main(command) == 0
    assert "of these, 2 are past their period and go at the next purge" in capsys.readouterr().out
    assert told(capsys, "purge")["rows"] == 2
    assert main([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["expired"], report["duplicates"], report["expiring"]) == (2, 2, 0)
