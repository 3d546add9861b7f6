"""`tenaudit audit account`: what balances, what is missing and what nobody can know, as a table and as JSON."""

from __future__ import annotations

import asyncio
import json
import time
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit._kernel.ids import uuid7_from_source
from tenaudit.audit import AuditProducer
from tenaudit.audit.consumer import Partition, SourceRecord, encode_event
from tenaudit.backends.memory import MemorySink
from tenaudit.backends.spool import DiskSpool
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.backends.sqlite.dead_letters import SqliteDeadLetters
from tenaudit.cli import main
from tenaudit.cli.audit_account_window import window_of
from tenaudit.errors import ConfigurationError
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import TENANT

STORE = ["--store", "sqlite:///audit.db"]
PLATFORM = UUID(int=9)
CTX = SecurityContext(TENANT, Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("TENAUDIT_STORE", "TENAUDIT_DEAD_LETTERS"):
        monkeypatch.delenv(name, raising=False)


def emitted(count, **options):
    """Return the events of one producer that closed cleanly, its closing record last."""

    async def life():
        sink = MemorySink()
        usual = {"service": "orders", "registry": CollectorRegistry(), "account_tenant": PLATFORM}
        async with AuditProducer(sink, **usual | options) as producer:
            for _ in range(count):
                producer.emit("order.created", context=CTX)
        return sink.events

    return asyncio.run(life())


def put(*events, letters=(), spooled=()):
    async def work():
        async with SqliteStore.open("audit.db") as store, SqliteDeadLetters("audit.db") as dead:
            await store.append(events)
            for offset, value in enumerate(letters):
                await dead.put(SourceRecord(Partition("audit.events", 0), offset, value), "refused_by_store")
        if spooled:
            async with DiskSpool("spool") as spool:
                await spool.append(spooled)

    asyncio.run(work())


def asked(capsys, *options, code):
    assert main(["audit", "account", *STORE, "--json", *options]) == code
    return json.loads(capsys.readouterr().out)


def row_of(told):
    (row,) = told["producers"]
    return row


def test_a_producer_that_closed_balances(capsys):
    put(*emitted(7, capacity=5))
    assert main(["audit", "account", *STORE]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[1:] == ["yes", "7", "5", "0", "2", "0", "0", "0", "0", "0", "0", "balanced"]
    assert lines[2].split() == ["all", "1", "of", "1", "7", "5", "0", "2", "0", "0", "0", "0", "0", "0", "-"]
    assert lines[3] == "every event is accounted for"
    told = asked(capsys, code=0)
    row = row_of(told)
    assert row.pop("producer_id").startswith("orders-")
    assert row == {
        "service": "orders", "closed": True, "balanced": True, "emitted": 7, "stored": 5, "dead_letters": 0,
        "dropped": 2, "rejected": 0, "spooled": 0, "in_flight": 0, "purged": 0, "missing": 0, "at_most": 0,
    }  # fmt: skip
    assert told["totals"] == {
        "producers": 1, "closed": 1, "emitted": 7, "stored": 5, "dead_letters": 0, "dropped": 2, "rejected": 0,
        "spooled": 0, "in_flight": 0, "purged": 0, "missing": 0, "at_most": 0,
    }  # fmt: skip
    assert {name: told[name] for name in ("balanced", "unread_letters", "spools_in_use")} == {
        "balanced": True,
        "unread_letters": 0,
        "spools_in_use": [],
    }


def test_a_lost_event_is_missing(capsys):
    events = emitted(6)
    put(*events[:3], *events[5:])
    row = row_of(asked(capsys, code=1))
    assert (row["missing"], row["at_most"], row["balanced"]) == (2, 2, False)
    assert main(["audit", "account", *STORE]) == 1
    out = capsys.readouterr().out
    assert "missing" in out.splitlines()[1].split()
    assert out.splitlines()[-1] == "NOT every event is accounted for"


def test_dead_letters_and_spools_hold_what_is_not_stored_and_count_nothing_twice(capsys):
    events = emitted(8)
    closing = events.pop()
    put(*events[:4], closing, letters=[encode_event(events[3]), encode_event(events[4])], spooled=events[2:4])
    put(letters=[encode_event(events[5])], spooled=events[5:8])
    row = row_of(asked(capsys, "--spool", "spool", code=0))
    assert (row["stored"], row["dead_letters"], row["spooled"], row["missing"]) == (4, 2, 2, 0)


def test_what_no_letter_tells_is_not_taken_for_proven(capsys):
    events = emitted(4)
    old = json.loads(encode_event(events[2])) | {"severity": "unheard-of"}
    put(*events[:1], events[-1], letters=[b"{", json.dumps(old).encode(), b"[]", b'{"seq": 1}'])
    told = asked(capsys, code=1)
    row = row_of(told)
    assert told["unread_letters"] == 3
    assert (row["dead_letters"], row["missing"], row["at_most"]) == (1, 0, 2)
    assert main(["audit", "account", *STORE]) == 1
    said = capsys.readouterr()
    assert said.err == "note: 3 dead letters do not tell whose they are\n"
    assert "not proven" in said.out


@pytest.mark.parametrize(
    "wrong", [{"seq": True}, {"seq": -1}, {"seq": 2**53}, {"service": 3}, {"event_id": "x"}, {"tenant_id": None}]
)
def test_a_letter_with_half_a_number_tells_nothing(capsys, wrong):
    (event,) = [an_event(0)]
    put(letters=[json.dumps(json.loads(encode_event(event)) | {"action": "?"} | wrong).encode()])
    assert asked(capsys, code=0)["unread_letters"] == 1


def test_an_event_without_a_number_is_in_nobodys_account(capsys):
    nameless = an_event(0, producer_id=None)
    put(nameless, letters=[encode_event(an_event(1, seq=None))])
    told = asked(capsys, code=0)
    assert (told["producers"], told["unread_letters"]) == ([], 0)


def test_a_spool_in_use_is_not_taken_for_empty(capsys):
    events = emitted(3)
    put(*events[:2], events[3].model_copy(update={"payload": events[3].payload | {"delivered": 2, "spooled": 1}}))

    async def beside_its_owner():
        async with DiskSpool("spool") as spool:
            await spool.append([an_event(0)])
            await asyncio.to_thread(look)
            assert spool.stats().records == 1

    def look():
        told = asked(capsys, "--spool", "spool", code=1)
        row = row_of(told)
        assert told["spools_in_use"] == ["spool"]
        assert (row["spooled"], row["missing"], row["at_most"], row["balanced"]) == (None, 0, 1, False)
        assert main(["audit", "account", *STORE, "--spool", "spool"]) == 1
        said = capsys.readouterr()
        assert said.err == "note: the spool spool is in use: what is in it is not known\n"
        assert "?" in said.out.splitlines()[1].split()

    asyncio.run(beside_its_owner())


def test_a_closing_record_that_waits_in_a_spool_says_as_much(capsys):
    events = emitted(3)
    put(events[0], spooled=events[1:])
    row = row_of(asked(capsys, "--spool", "spool", code=0))
    assert (row["closed"], row["emitted"], row["stored"], row["spooled"]) == (True, 3, 1, 2)
    row = row_of(asked(capsys, code=0))
    assert (row["closed"], row["emitted"], row["spooled"], row["at_most"]) == (False, None, None, 10_000)


def test_a_producer_that_was_killed_shows_its_gap_and_a_bound(capsys):
    put(*(an_event(number) for number in (1, 2, 5)))
    row = row_of(asked(capsys, "--capacity", "20", code=1))
    assert (row["closed"], row["missing"], row["at_most"], row["stored"]) == (False, 3, 23, 3)
    assert (row["emitted"], row["dropped"], row["rejected"]) == (None, None, None)
    put(*(an_event(number) for number in (0, 3, 4)))
    assert row_of(asked(capsys, "--capacity", "20", code=0))["missing"] == 0
    assert main(["audit", "account", *STORE]) == 0
    assert "no gap" in capsys.readouterr().out


def test_an_empty_store_has_nothing_to_account_for(capsys):
    put()
    told = asked(capsys, code=0)
    assert (told["balanced"], told["producers"], told["totals"]["producers"]) == (True, [], 0)


def aged(number, seconds):
    """Return event *number* of another producer, so many seconds old."""
    ms = round((time.time() - seconds) * 1000)
    return an_event(number, event_id=uuid7_from_source(ms, f"aged {number}"), producer_id="aged-1")


def test_since_and_settle_bound_the_time(capsys):
    put(*(aged(number, 7200 - number) for number in (2, 5)), aged(9, 1000), aged(11, 990), aged(14, 1))
    whole = row_of(asked(capsys, code=1))
    assert (whole["stored"], whole["missing"]) == (5, 10)
    recent = row_of(asked(capsys, "--since", "1h", code=1))
    assert (recent["stored"], recent["missing"]) == (3, 3)
    settled = row_of(asked(capsys, "--since", "1h", "--settle", "1m", code=1))
    assert (settled["stored"], settled["missing"]) == (2, 1)
    assert asked(capsys, "--since", "1970-01-02", "--settle", "3h", code=0)["producers"] == []


def test_a_closed_producer_that_began_before_the_window_shows_no_totals(capsys):
    events = emitted(4)
    begun = {**events[4].payload, "started_ms": 1}
    put(*events[2:4], events[4].model_copy(update={"payload": begun}))
    row = row_of(asked(capsys, "--since", "1h", code=0))
    assert (row["closed"], row["balanced"], row["emitted"], row["stored"], row["dropped"]) == (
        True,
        True,
        None,
        2,
        None,
    )
    assert row_of(asked(capsys, code=1))["missing"] == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--since", "yesterday"], "--since is a span"),
        (["--since", "2026-11-24T06:00:00"], "--since is a span"),
        (["--since", "9999-12-31T23:59:59-14:00"], "--since must be before now"),
        (["--since", "99999999h"], "at most a hundred years"),
        (["--since", "60y"], "--since is a span"),
        (["--since", "1h", "--settle", "2h"], "--since must be before now and --settle"),
        (["--since", "1960-01-01"], "not before 1970"),
        (["--settle", "soon"], "a span is a number"),
        (["--spool", "nowhere"], "there is no spool nowhere"),
        (["--dead-letters", "sqlite:///nowhere.db"], "nowhere.db"),
        (["--timeout", "nan"], "nan is no number of seconds"),
        (["--timeout", "1e-9"], "the account took over 1e-09 s; narrow its time"),
    ],
)
def test_what_cannot_be_is_one_line(capsys, options, words):
    put(an_event(0), spooled=[an_event(number) for number in range(5)])
    spool = ["--spool", "spool"] if "--timeout" in options else []
    assert main(["audit", "account", *STORE, *spool, *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert said.err.count("\n") == 1


def test_a_window_is_read_as_people_write_it():
    noon = 1_800_000_000.0
    assert window_of(None, "0", noon).is_whole
    assert window_of("2026-11-24", "0", noon).since_ms == 1_795_478_400_000
    assert window_of("2026-11-24T02:00:00+02:00", "0", noon).since_ms == 1_795_478_400_000
    with pytest.raises(ConfigurationError):
        window_of("2h", "3h", noon)
