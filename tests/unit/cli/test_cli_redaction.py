"""The command line hides what it is told to, and finds nothing by it; and what it writes holds nothing of it."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import RedactionPolicy, Redactor
from tenaudit.audit.consumer import Partition, SourceRecord, encode_event, event_headers
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.backends.sqlite.dead_letters import SqliteDeadLetters
from tenaudit.backends.sqlite.outbox import SqliteOutbox, create_outbox
from tenaudit.cli import main
from tenaudit.cli.redaction_options import RedactionOptions
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event
from tests.unit.backends.outbox_parts import context_of
from tests.unit.cli.test_cli_serve import ADMIN, get, serving

CARD, ALICE = "4242424242424242", "alice@example.com"
STORE = "sqlite:///audit.db"
RULES = '[redaction]\nmask = ["payload.card", "actor_id"]\nremove = ["resource_id"]\n'
SUPPORT = ADMIN | {"X-Roles": "Support"}
FILE = ["--redact-policy", "redaction.toml"]
PATHS = ["--redact", "payload.card", "--redact", "actor_id", "--redact", "resource_id"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("TENAUDIT_STORE", "TENAUDIT_DEAD_LETTERS", "AUDIT_REDACT_FIELDS", "AUDIT_REDACT_MODE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "redaction.toml").write_text(RULES)


def event(number, **fields):
    return an_event(number, actor_id=ALICE, payload={"card": CARD, "n": number}, **fields)


def fill(*events):
    async def made():
        async with SqliteStore.open("audit.db") as store:
            await store.append(events)

    asyncio.run(made())


def stored():
    async def found():
        async with SqliteStore.open("audit.db") as store:
            return [one for tenant in await store.tenants() for _, one in await store.follow(tenant, 0, 100)]

    return asyncio.run(found())


def ask(capfd, *words):
    code = main([*words, "--store", STORE])
    said = capfd.readouterr()
    assert code == 0, said.err
    return said.out


# What is shown


@pytest.mark.parametrize("hide", [FILE, PATHS])
@pytest.mark.parametrize(
    "words",
    [
        ["query"],
        ["query", "--json"],
        ["query", "--json", "--tenant", str(TENANT)],
        *(["export", "--tenant", str(TENANT), "--format", shape] for shape in ("ndjson", "csv", "cloudevents", "ecs")),
        ["export", "--tenant", str(TENANT), "--format", "ocsf"],
    ],
)
def test_no_command_shows_what_is_hidden(words, hide, capfd):
    fill(event(1, resource_id="o-secret"), event(2, tenant_id=OTHER_TENANT))
    plain = ask(capfd, "audit", *words)
    assert ALICE in plain
    shown = ask(capfd, "audit", *words, *hide)
    assert [value for value in (CARD, ALICE, "o-secret") if value in shown] == []
    assert str(event(1).event_id) in shown
    if words != ["query"]:
        assert "****4242" in shown


@pytest.mark.parametrize("options", [["--json"], []])
def test_a_tail_shows_nothing_of_it_either(options):
    fill(an_event(0, actor_id="bob"), event(1))
    argv = [sys.executable, "-m", "tenaudit.cli", "audit", "tail", "--store", STORE, "--from-start", *FILE, *options]
    with subprocess.Popen([*argv, "--actor", "****.com"], stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert str(event(1).event_id) in line
    assert "****.com" in line
    assert CARD not in line
    assert ALICE not in line


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (["--q", CARD], 0),
        (["--actor", ALICE], 0),
        (["--resource-id", "o-1"], 0),
        (["--q", "****4242"], 3),
        (["--actor", "****.com", "--q", '"n":1'], 1),
        (["--trace-id", f"{2:032x}"], 1),
    ],
)
def test_nothing_is_found_by_what_is_hidden(filters, count, capfd):
    fill(*(event(number) for number in range(3)))
    events = json.loads(ask(capfd, "audit", "query", "--json", *filters, *FILE))["events"]
    assert len(events) == count
    assert json.loads(ask(capfd, "audit", "stats", "--json", *filters, *FILE))["events"] == count
    *lines, end = ask(capfd, "audit", "export", *filters, *FILE).splitlines()
    assert (len(lines), json.loads(end)["tenaudit_export"]["events"]) == (count, count)


def test_pages_of_what_is_seen_go_on_by_their_cursors(capfd):
    fill(*(event(number) for number in range(5)))
    words = ["audit", "query", "--json", "--q", "****4242", "--limit", "2", *FILE]
    seen, cursor = [], []
    while cursor is not None:
        page = json.loads(ask(capfd, *words, *cursor))
        seen += [one["payload"]["n"] for one in page["events"]]
        cursor = None if page["next_cursor"] is None else ["--cursor", page["next_cursor"]]
    assert seen == [4, 3, 2, 1, 0]
    assert main([*words, "--store", STORE, "--cursor", "next.AAAA.BBBB"]) == 2
    assert "--cursor was altered" in capfd.readouterr().err


def test_who_looks_into_a_store_does_so_without_the_variables_of_a_service(monkeypatch, capfd):
    fill(event(1))
    monkeypatch.setenv("AUDIT_REDACT_FIELDS", "payload.card")
    assert CARD in ask(capfd, "audit", "query", "--json")


def test_a_path_and_a_file_add_up(capfd):
    fill(event(1))
    shown = json.loads(ask(capfd, "audit", "query", "--json", *FILE, "--redact", "payload.n"))["events"][0]
    assert shown["payload"] == {"card": "****4242", "n": "****"}
    assert shown["redactions"] == ["actor_id:mask", "payload.card:mask", "payload.n:mask", "resource_id:remove"]


# What is written


def ndjson(*events):
    Path("log.ndjson").write_text("".join(f"{json.dumps(one.record())}\n" for one in events), encoding="utf-8")


@pytest.mark.parametrize("by", ["file", "variables"])
def test_an_import_stores_nothing_of_it(by, monkeypatch, capfd):
    ndjson(event(1))
    hide = FILE
    if by == "variables":
        hide = []
        monkeypatch.setenv("AUDIT_REDACT_FIELDS", "payload.card,actor_id")
    assert json.loads(ask(capfd, "import", "--format", "ndjson", "log.ndjson", "--json", *hide))["stored"] == 1
    assert json.loads(ask(capfd, "import", "--format", "ndjson", "log.ndjson", "--json", *hide))["duplicates"] == 1
    (kept,) = stored()
    assert (kept.actor_id, kept.payload) == ("****.com", {"card": "****4242", "n": 1})


def test_the_mode_of_the_environment_is_for_those_who_tell_none(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("AUDIT_REDACT_MODE", "log")
    ndjson(event(1))
    ask(capfd, "import", "--format", "ndjson", "log.ndjson", *FILE)
    assert stored()[0].payload["card"] == CARD
    (tmp_path / "redaction.toml").write_text(f'{RULES}mode = "enforce"\n')
    ndjson(event(2))
    ask(capfd, "import", "--format", "ndjson", "log.ndjson", *FILE)
    assert [one.payload["card"] for one in stored()] == [CARD, "****4242"]


@pytest.mark.parametrize("by", ["file", "variables"])
def test_a_relay_hands_nothing_of_it_on(by, tmp_path, monkeypatch, capfd):
    outbox = SqliteOutbox("orders", registry=CollectorRegistry())
    with closing(sqlite3.connect("app.db")) as connection, connection:
        create_outbox(connection)
        outbox.emit_nowait(connection, "order.created", payload={"card": CARD}, context=context_of(1))
    hide = FILE
    if by == "variables":
        hide = []
        monkeypatch.setenv("AUDIT_REDACT_FIELDS", "payload.card")
    assert main(["relay", "--outbox", "sqlite:///app.db", "--sink", "jsonl:///out.jsonl", "--once", *hide]) == 0
    assert json.loads((tmp_path / "out.jsonl").read_text())["payload"] == {"card": "****4242"}


def test_a_replay_of_dead_letters_stores_nothing_of_it(capfd):
    async def bury():
        async with SqliteStore.open("audit.db"), SqliteDeadLetters("audit.db") as letters:
            record = SourceRecord(Partition("t", 0), 1, encode_event(event(1)), headers=tuple(event_headers(event(1))))
            await letters.put(record, "refused_by_store")

    asyncio.run(bury())
    assert json.loads(ask(capfd, "audit", "dlq", "replay", "--all", "--json", *FILE))["stored"] == 1
    assert stored()[0].payload == {"card": "****4242", "n": 1}


# What is served


def cards(url, headers=SUPPORT, **query):
    parameters = "&".join(f"{name}={value}" for name, value in query.items())
    events = json.loads(get(f"{url}/audit/events?{parameters}", headers)[1])["events"]
    return [one["payload"]["card"] for one in events]


def test_a_service_hides_what_the_file_and_the_variables_say(monkeypatch):
    fill(event(1))
    monkeypatch.setenv("AUDIT_REDACT_FIELDS", "payload.n")
    with serving(*FILE) as (url, _):
        (shown,) = json.loads(get(f"{url}/audit/events", SUPPORT)[1])["events"]
        assert (shown["payload"], shown["actor_id"], "resource_id" in shown) == (
            {"card": "****4242", "n": "****"}, "****.com", False,
        )  # fmt: skip
        assert cards(url, q=CARD) == []
        assert cards(url, ADMIN, q=CARD) == [CARD]
        metrics = get(f"{url}/internal/metrics", {})[1]
        assert 'audit_events_redacted_total{action="mask",layer="read"} 1.0' in metrics


def test_the_mode_of_a_service_is_that_of_its_environment(monkeypatch):
    fill(event(1))
    monkeypatch.setenv("AUDIT_REDACT_FIELDS", "payload.card")
    monkeypatch.setenv("AUDIT_REDACT_MODE", "log")
    with serving() as (url, _):
        assert cards(url, q=CARD) == [CARD]
        assert 'audit_events_redacted_total{action="mask",layer="read"} 1.0' in get(f"{url}/internal/metrics", {})[1]


@pytest.mark.parametrize(
    ("options", "environ", "kind"),
    [
        (RedactionOptions(), {}, type(None)),
        (RedactionOptions(), {"AUDIT_REDACT_MODE": "log"}, type(None)),
        (RedactionOptions(("trace_id",)), {}, Redactor),
        (RedactionOptions(("actor_id",)), {"AUDIT_REDACT_MODE": "log"}, RedactionPolicy),
        (RedactionOptions(), {"AUDIT_REDACT_FIELDS": "actor_id"}, RedactionPolicy),
    ],
)
def test_a_service_has_the_redactor_that_it_was_told_of(options, environ, kind, monkeypatch):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert type(options.for_server(CollectorRegistry())) is kind


# What is wrong

READERS = [["audit", command, "--store", STORE] for command in ("query", "tail", "export", "stats")]
WRITERS = [
    ["import", "--format", "ndjson", "--store", STORE, "log.ndjson"],
    ["audit", "dlq", "replay", "--all", "--store", STORE],
    ["relay", "--outbox", "sqlite:///app.db", "--sink", "jsonl:///out.jsonl", "--once"],
    ["consume", "--kafka", "127.0.0.1:1", "--store", STORE],
]
SERVER = [["serve", "--store", STORE, "--port", "0"]]


def refused(argv, capfd):
    assert main(argv) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize("argv", [*READERS, *WRITERS, *SERVER], ids=lambda argv: " ".join(argv[:2]))
def test_a_file_that_is_wrong_is_one_line(argv, tmp_path, capfd):
    fill(event(1))
    ndjson(event(2))
    (tmp_path / "wrong.toml").write_text('[redaction]\n\nmasks = ["actor_id"]\n')
    assert refused([*argv, "--redact-policy", "wrong.toml"], capfd).startswith(
        "wrong.toml:3: unknown key 'redaction.masks'"
    )
    assert refused([*argv, "--redact-policy", "no.toml"], capfd).startswith("no.toml: ")
    assert len(stored()) == 1


@pytest.mark.parametrize("argv", [*WRITERS, *SERVER], ids=lambda argv: " ".join(argv[:2]))
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("AUDIT_REDACT_FIELDS", "payload.[", "AUDIT_REDACT_FIELDS: redaction path"),
        ("AUDIT_REDACT_MODE", "on", "AUDIT_REDACT_MODE must be one of off, log, enforce"),
    ],
)
def test_a_variable_that_is_wrong_is_one_line(argv, name, value, says, monkeypatch, capfd):
    fill(event(1))
    ndjson(event(2))
    monkeypatch.setenv(name, value)
    assert refused(argv, capfd).startswith(says)
    assert len(stored()) == 1


@pytest.mark.parametrize("argv", [*READERS, *SERVER], ids=lambda argv: " ".join(argv[:2]))
def test_a_path_that_is_wrong_is_one_line(argv, capfd):
    fill(event(1))
    assert refused([*argv, "--redact", "payload.["], capfd).startswith("--redact: redaction path")


@pytest.mark.parametrize("argv", READERS, ids=lambda argv: " ".join(argv[:2]))
def test_what_orders_or_identifies_an_event_cannot_be_hidden_here(argv, capfd):
    fill(event(1))
    assert refused([*argv, "--redact", "event_id"], capfd).startswith("--redact: 'event_id': a rule begins with one of")


def test_everything_that_is_redacted_or_named_can_be_erased_one_day(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIT_REDACT_FIELDS", "payload.of_environment")
    tenant = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
    (tmp_path / "readers.toml").write_text(
        "[redaction]\nmask = ['payload.of_readers', 'actor_type']\n"
        f"[redaction.tenants.{tenant}]\nmask = ['payload.of_one']\n"
    )
    options = RedactionOptions(("payload.of_paths",), None, ("payload.named",), tmp_path / "readers.toml")
    names = ("of_environment", "of_readers", "of_one", "of_paths", "named")
    event = an_event(0, payload=dict.fromkeys((*names, "other"), "x"))
    wanted = ("/actor_id", *sorted(f"/payload/{name}" for name in names))
    assert options.personal_fields().places(event) == wanted
    with pytest.raises(ConfigurationError, match="'action' reaches none of actor_id, resource_id and payload"):
        RedactionOptions(personal=("action",)).personal_fields()
