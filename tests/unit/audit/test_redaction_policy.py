"""A redaction policy: rules of all and of one tenant, at both layers, in each mode, and what it may not reach."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ConfigurationError
from tenaudit.audit import AuditEvent, AuditProducer, RedactionPolicy, RedactionRule, Redactor
from tenaudit.audit.event import AuditEvent as Model
from tenaudit.backends.memory import MemorySink
from tenaudit.backends.spool import DiskSpool
from tenaudit.backends.sqlite.outbox import SqliteOutbox, create_outbox
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance import an_event
from tenaudit.testing.scripted_sink import ScriptedSink

TENANT, OTHER = UUID(int=1), UUID(int=2)
CARD = {"card": {"number": "4111111111111111", "holder": "A. Person"}, "amount": 5}
RULES = ["payload.card.number", RedactionRule("payload.**.ssn", "remove")]


def policy(rules=RULES, **options):
    return RedactionPolicy(rules, **{"registry": CollectorRegistry()} | options)


def context(tenant=TENANT):
    return SecurityContext(tenant, Actor("alice@example.com"), frozenset(), TraceContext("a" * 32, None, False))


def event(**fields):
    return an_event(1, **{"tenant_id": TENANT, "payload": CARD} | fields)


def test_a_written_event_has_no_more_than_it_may_and_says_so():
    written = policy().written(event(redactions=("before",)))
    assert written.payload == {"card": {"number": "****1111", "holder": "A. Person"}, "amount": 5}
    assert written.redactions == ("before", "payload.card.number:mask")
    assert written == AuditEvent.model_validate(written.record())
    assert list(vars(written)) == list(Model.model_fields)


def test_an_event_that_no_rule_touches_is_the_very_same():
    untouched = event(payload={"amount": 5})
    assert policy().written(untouched) is untouched
    assert policy()(untouched.record()) == (untouched.record(), ())


def test_writing_twice_is_writing_once():
    once = policy().written(event())
    assert policy().written(once) is once


def test_a_tenant_has_its_rules_beside_those_of_all():
    rules = policy(tenants={OTHER: ["payload.card.holder", RedactionRule("payload.card.number", "remove")]})
    assert rules.written(event()).payload["card"] == {"number": "****1111", "holder": "A. Person"}
    assert rules.written(event(tenant_id=OTHER)).payload["card"] == {"holder": "****rson"}
    record = event(tenant_id=OTHER).record()
    assert rules(record | {"tenant_id": OTHER.hex.upper()})[0]["payload"]["card"] == {"holder": "****rson"}
    view, tags = rules(record)
    assert view["payload"]["card"] == {"holder": "****rson"}
    assert tags == ("payload.card.holder:mask", "payload.card.number:remove")


def test_a_view_keeps_the_order_of_its_fields_and_misses_what_was_removed():
    record = event().record()
    view, tags = policy([RedactionRule("actor_id", "remove"), "payload"])(record)
    assert list(view) == [name for name in record if name != "actor_id"]
    assert view["payload"] == "****"
    assert tags == ("actor_id:remove", "payload:mask")


@pytest.mark.parametrize("action", ["mask", "remove", "hash"])
def test_whatever_is_redacted_an_event_stays_one(action):
    rules = [
        RedactionRule(path, action) for path in ("actor_id", "actor_type", "resource_type", "resource_id", "payload")
    ]
    written = policy(rules, key=b"key").written(event())
    assert AuditEvent.model_validate(written.record()) == written
    assert len(written.redactions) == 5
    assert "4111" not in str(written)


def test_a_wild_card_means_what_can_be_redacted():
    written = policy([RedactionRule("*", "remove"), "**.seq"]).written(event())
    assert (written.payload, written.actor_id, written.actor_type) == ({}, None, "****")
    assert (written.seq, written.event_id, written.severity) == (event().seq, event().event_id, event().severity)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (["severity"], r"rules: 'severity': a rule begins with one of actor_id, actor_type, "),
        (['["tenant_id"]'], r"a rule begins with one of"),
        (["seq.x"], r"'seq.x': a rule begins with one of"),
        (["card.number"], r"'card.number': a rule begins with one of"),
        (["payload..a"], r"rules: redaction path 'payload..a', position 8"),
        ([RedactionRule("payload.a", "blur")], r"rules: action: 'blur'"),
        ([RedactionRule("payload.a", "hash")], r"rules: key: the action hash needs one"),
        ("payload.a", r"rules: .*give a list"),
    ],
)
def test_a_rule_that_cannot_be_is_named(rules, words):
    with pytest.raises(ConfigurationError, match=words):
        policy(rules)
    if isinstance(rules, list):
        with pytest.raises(ConfigurationError, match=words.replace("rules:", f"tenants.{TENANT}:")):
            policy([], tenants={TENANT: rules})


def test_modes_and_tenants_are_checked():
    with pytest.raises(ConfigurationError, match="mode must be one of off, log, enforce, not 'on'"):
        policy(mode="on")
    with pytest.raises(ConfigurationError, match="tenants: 'acme' is no UUID"):
        policy(tenants={"acme": ["payload.a"]})


def counts(registry):
    return {
        (layer, action): registry.get_sample_value("audit_events_redacted_total", {"layer": layer, "action": action})
        for layer in ("write", "read")
        for action in ("mask", "remove")
    }


def test_each_mode_counts_what_it_should():
    for mode, masked in (("enforce", 2), ("log", 2), ("off", None)):
        registry, clock = CollectorRegistry(), ManualClock()
        rules = policy(mode=mode, registry=registry, clock=clock)
        one = event(payload={"card": {"number": "4111111111111111"}, "a": {"ssn": 1}, "b": {"ssn": 2}})
        written = [rules.written(one), rules.written(one), rules.written(event(payload={}))]
        view, tags = rules(one.record())
        assert counts(registry) == {
            ("write", "mask"): masked,
            ("write", "remove"): masked,
            ("read", "mask"): masked and 1,
            ("read", "remove"): masked and 1,
        }
        moment = registry.get_sample_value("audit_last_redaction_timestamp_seconds")
        assert moment == (0 if mode == "off" else clock.time_ns() / 1e9)
        hidden = mode == "enforce"
        assert (written[0] is one, view == one.record(), tags == ()) == (not hidden,) * 3


def test_a_producer_gives_its_sink_what_may_be_stored():
    async def main():
        sink = MemorySink()
        async with AuditProducer(
            sink, service="orders", registry=CollectorRegistry(), redaction=policy(["actor_id", *RULES])
        ) as producer:
            producer.emit("card.charged", payload=CARD, context=context())
            await producer.emit_durable("card.charged", payload=CARD, context=context())
        return sink.events

    for one in asyncio.run(main()):
        assert (one.actor_id, one.payload["card"]["number"]) == ("****.com", "****1111")
        assert one.redactions == ("actor_id:mask", "payload.card.number:mask")


def test_a_spool_never_has_what_may_not_be_stored_and_a_retry_is_counted_once(tmp_path):
    registry = CollectorRegistry()

    async def main():
        sink = ScriptedSink()
        sink.down = True
        async with AuditProducer(
            sink,
            service="orders",
            overflow="spool",
            spool=DiskSpool(tmp_path),
            spool_after=0.1,
            linger=0.0,
            registry=registry,
            redaction=policy(registry=registry),
        ) as producer:
            assert (await producer.emit_durable("card.charged", payload=CARD, context=context())).status == "spooled"
            stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
            sink.down = False
            assert await producer.flush(30)
        return stored, sink.events

    stored, events = asyncio.run(main())
    assert b"****1111" in stored
    assert b"4111111111111111" not in stored
    assert events[0].payload["card"]["number"] == "****1111"
    assert counts(registry)["write", "mask"] == 1


def test_an_outbox_writes_what_may_be_stored(tmp_path):
    connection = sqlite3.connect(tmp_path / "app.db")
    create_outbox(connection)
    connection.commit()
    outbox = SqliteOutbox("orders", registry=CollectorRegistry(), redaction=policy())
    connection.execute("BEGIN")
    outbox.emit_nowait(connection, "card.charged", payload=CARD, context=context())
    connection.commit()
    connection.close()
    stored = (tmp_path / "app.db").read_bytes()
    assert b"****1111" in stored
    assert b"4111111111111111" not in stored


def test_what_is_no_policy_is_refused_at_the_start():
    redactor = Redactor(["payload.card"])
    for make in (partial(AuditProducer, MemorySink(), service="orders"), partial(SqliteOutbox, "orders")):
        with pytest.raises(ConfigurationError, match="redaction must be a RedactionPolicy"):
            make(registry=CollectorRegistry(), redaction=redactor)
