"""An action that was declared durable or atomic is refused by a call that promises less, with its code, and counted."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from tenaudit.audit import AuditProducer, EmitRejected, SchemaRegistry, audited
from tenaudit.audit.outbox import OutboxComposer
from tenaudit.audit.payload import PayloadRefused
from tenaudit.backends.memory import MemorySink
from tenaudit.backends.sqlite.outbox import SqliteOutbox, create_outbox
from tenaudit.security import Actor, SecurityContext, TraceContext, bind_context

CONTEXT = SecurityContext(UUID(int=7), Actor("u-1"), frozenset(), TraceContext("0" * 31 + "1", None, False))
REQUIRED = "durability_required"
REGISTRY = SchemaRegistry()


class Paid(BaseModel):
    amount: int


for declared in ("buffered", "durable", "atomic"):
    REGISTRY.event_type(f"order.{declared}", version=2, durability=declared)(type("Paid", (Paid,), {}))


def run(case, schemas=REGISTRY.check):
    """Run a case with a producer; return the actions that the sink has, and what was counted."""
    sink, metrics = MemorySink(), CollectorRegistry()

    async def main():
        async with AuditProducer(sink, service="shop", schemas=schemas, registry=metrics) as producer:
            with bind_context(CONTEXT):
                await case(producer)

    asyncio.run(asyncio.wait_for(main(), 30))
    return [event.action for event in sink.events], metrics


def rejected(metrics, reason=REQUIRED):
    return metrics.get_sample_value("audit_events_rejected_total", {"reason": reason}) or 0


@pytest.mark.parametrize(
    ("action", "emitted", "durably"),
    [
        ("order.buffered", None, None),
        ("order.durable", REQUIRED, None),
        ("order.atomic", REQUIRED, REQUIRED),
        ("order.unheard", None, None),
    ],
)
def test_each_call_is_held_to_what_was_declared(action, emitted, durably):
    told = []

    async def case(producer):
        told.append(producer.emit(action, payload={"amount": 5}).reason)
        try:
            told.append((await producer.emit_durable(action, payload={"amount": 5})).reason)
        except EmitRejected as refusal:
            told.append(refusal.reason)
        # The promise of the call before is not left behind.
        told.append(producer.emit(action, payload={"amount": 5}).reason)

    actions, metrics = run(case)
    assert told == [emitted, durably, emitted]
    assert actions == [action] * told.count(None)
    assert rejected(metrics) == told.count(REQUIRED)


def test_for_tests_it_raises():
    async def case(producer):
        with pytest.raises(EmitRejected, match=REQUIRED):
            producer.emit("order.durable", payload={"amount": 5}, strict=True)

    run(case)


@pytest.mark.parametrize("outcome", ["denied", "failure"])
def test_what_was_denied_or_failed_changed_nothing_and_may_be_told_by_any_call(outcome):
    async def case(producer):
        assert producer.emit("order.atomic", outcome=outcome, payload={"error": "no"}).status == "accepted"

    assert run(case)[0] == ["order.atomic"]


def test_threads_that_emit_meanwhile_promise_nothing_more():
    told = {}

    def schemas(action, payload, *, promise):
        told[action] = promise
        if action == "order.durable":
            thread = threading.Thread(target=emit_elsewhere)
            thread.start()
            thread.join(20)
        return payload, 1

    def emit_elsewhere():
        told["result"] = the_producer[0].emit("order.other", context=CONTEXT).status

    the_producer = []

    async def case(producer):
        the_producer.append(producer)
        await producer.emit_durable("order.durable")

    run(case, schemas)
    assert told == {"order.durable": "durable", "order.other": "buffered", "result": "accepted"}


def test_a_check_of_a_payload_alone_promises_nothing():
    assert REGISTRY.check("order.atomic", {"amount": 5}) == ({"amount": 5}, 2)
    with pytest.raises(
        PayloadRefused, match=r"order\.atomic version 2 is declared atomic: emit it by an outbox"
    ) as caught:
        REGISTRY.check("order.atomic", {"amount": "much"}, promise="durable")
    assert caught.value.reason == REQUIRED


def test_an_audited_function_that_promises_too_little_is_counted_once_and_runs():
    async def case(producer):
        @audited("order.durable", producer=producer, payload=lambda _arguments, _result: {"amount": 5})
        def pay():
            return "paid"

        @audited(
            "order.durable", producer=producer, payload=lambda _arguments, _result: {"amount": 5}, durability="durable"
        )
        async def pay_durably():
            return "paid"

        assert pay() == "paid"
        assert await pay_durably() == "paid"

    actions, metrics = run(case)
    assert actions == ["order.durable"]
    assert rejected(metrics) == 1


def composer(metrics, schemas=REGISTRY.check):
    return OutboxComposer("shop", registry=metrics, schemas=schemas)


@pytest.mark.parametrize("action", ["order.buffered", "order.durable", "order.atomic"])
def test_an_outbox_keeps_every_promise_and_says_which_version(action):
    event = composer(CollectorRegistry()).compose(action, payload={"amount": 5}, context=CONTEXT)
    assert (event.payload, event.schema_version) == ({"amount": 5}, 2)


def test_an_outbox_holds_payloads_to_their_type_as_a_producer_does():
    metrics = CollectorRegistry()
    with pytest.raises(EmitRejected, match="invalid_payload"):
        composer(metrics).compose("order.atomic", payload={"amount": "much"}, context=CONTEXT)
    strict = SchemaRegistry(unknown="refuse").check
    with pytest.raises(EmitRejected, match="unknown_event_type"):
        composer(metrics, strict).compose("order.unheard", context=CONTEXT)
    assert (rejected(metrics, "invalid_payload"), rejected(metrics, "unknown_event_type")) == (1, 1)
    failed = composer(metrics).compose("order.atomic", payload={"error": "no"}, outcome="failure", context=CONTEXT)
    assert failed.payload == {"error": "no"}


def test_what_a_schema_refuses_is_not_in_the_outbox():
    outbox = SqliteOutbox("shop", registry=CollectorRegistry(), schemas=REGISTRY.check)
    with closing(sqlite3.connect(":memory:")) as connection, bind_context(CONTEXT):
        with connection:
            create_outbox(connection)
        with connection:
            connection.execute("BEGIN")
            with pytest.raises(EmitRejected, match="invalid_payload"):
                outbox.emit_nowait(connection, "order.atomic", payload={})
            assert outbox.emit_nowait(connection, "order.atomic", payload={"amount": 5}).status == "accepted"
        assert connection.execute("SELECT count(*) FROM tenaudit_outbox").fetchone() == (1,)
