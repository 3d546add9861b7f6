"""What `emit` says of each call, without a running loop."""

from __future__ import annotations

import asyncio
import enum
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tenaudit import ConfigurationError
from tenaudit.audit import AuditProducer, EmitRejected
from tenaudit.backends.memory import MemorySink
from tenaudit.security import Actor, SecurityContext, TraceContext, bind_context
from tenaudit.testing.clock import ManualClock

CTX = SecurityContext(uuid.UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))


def producer(**options):
    return AuditProducer(MemorySink(), service="orders", registry=CollectorRegistry(), **options)


def test_an_accepted_event_has_an_id_that_grows():
    made = producer(clock=ManualClock())
    results = [made.emit("order.created", context=CTX) for _ in range(1000)]
    assert {(result.status, result.reason) for result in results} == {("accepted", None)}
    ids = [result.event_id for result in results]
    assert ids == sorted(set(ids))
    assert {one.version for one in ids} == {7}
    assert made.stats() == (1000, 0, 0, 0, 0, 1000)


def test_without_a_context_nothing_is_taken_and_the_bound_one_is_used():
    made = producer()
    assert made.emit("order.created").reason == "no_context"
    with bind_context(CTX):
        assert made.emit("order.created").status == "accepted"
    assert made.emit("order.created", context="u-1").reason == "invalid_context"
    assert made.stats() == (1, 0, 0, 2, 0, 1)


@pytest.mark.parametrize(
    ("reason", "arguments"),
    [
        ("invalid_action", {"action": "Order.Created"}),
        ("invalid_action", {"action": "a" * 129}),
        ("invalid_action", {"action": "order.created\n"}),
        ("invalid_action", {"action": 5}),
        ("invalid_action", {"action": b"order"}),
        ("invalid_outcome", {"outcome": "ok"}),
        ("invalid_severity", {"severity": "loud"}),
        ("invalid_severity", {"severity": 3}),
        ("invalid_text", {"resource_id": "a\x00"}),
        ("invalid_text", {"resource_type": "\ud800"}),
        ("invalid_resource", {"resource_id": 5}),
        ("invalid_resource", {"resource_id": 0}),
        ("invalid_resource", {"resource_id": uuid.UUID(int=1)}),
        ("invalid_resource", {"resource_type": b"a", "resource_id": b"b"}),
        ("invalid_resource", {"resource_type": ["a"], "resource_id": ["b"]}),
        ("resource_too_long", {"resource_id": "a" * 1025}),
        ("resource_too_long", {"resource_id": "é" * 513}),
        ("resource_too_long", {"resource_type": "a" * 129}),
        ("payload_not_json", {"payload": {"a": float("nan")}}),
        ("payload_not_json", {"payload": ["a"]}),
        ("event_too_large", {"payload": {"a": "x" * 70_000}}),
        ("invalid_event", {"outcome": []}),
    ],
)
def test_each_broken_limit_is_a_counted_rejection_with_its_code(reason, arguments):
    made = producer()
    result = made.emit(**{"action": "order.created", "context": CTX} | arguments)
    assert (result.status, result.reason, result.event_id) == ("rejected", reason, None)
    with pytest.raises(EmitRejected) as caught:
        made.emit(**{"action": "order.created", "context": CTX, "strict": True} | arguments)
    assert caught.value.reason == reason
    assert made.stats() == (0, 0, 0, 2, 0, 0)


class Name(enum.StrEnum):
    CREATED = "order.created"


class OldName(str, enum.Enum):  # noqa: UP042 - the older kind is what is tested
    CREATED = "order.created"


class Lying(enum.Enum):
    CREATED = 1

    def __str__(self):
        return "order.created"


def test_names_may_be_string_enums_and_nothing_that_only_prints_like_one():
    made = producer()
    assert made.emit(Name.CREATED, context=CTX).status == "accepted"
    assert made.emit(OldName.CREATED, context=CTX).status == "accepted"
    assert made.emit(Lying.CREATED, context=CTX).reason == "invalid_action"


class Hostile:
    """Raises whatever is asked of it."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __eq__(self, other):
        raise RuntimeError

    def __hash__(self):
        raise RuntimeError

    def __bool__(self):
        raise RuntimeError

    def __str__(self):
        raise RuntimeError


things = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(Hostile),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(things, things, things, things, things, things, st.just(CTX) | things)
def test_emit_never_raises_and_counts_every_call(action, kind, place, payload, outcome, severity, context):
    made = producer()
    result = made.emit(
        action,
        resource_type=kind,
        resource_id=place,
        payload=payload,
        outcome=outcome,
        severity=severity,
        context=context,
    )
    assert result.status in ("accepted", "rejected")
    assert made.stats().emitted + made.stats().rejected == 1


@given(st.builds(dict, payload=things, resource_id=things, outcome=things))
def test_a_right_call_with_one_wrong_argument_never_raises(arguments):
    for name, value in arguments.items():
        made = producer()
        made.emit("order.created", context=CTX, **{name: value})
        assert made.stats().emitted + made.stats().rejected == 1


def test_a_full_queue_drops_by_count():
    made = producer(capacity=3)
    results = [made.emit("order.created", context=CTX) for _ in range(5)]
    assert [result.status for result in results] == ["accepted"] * 3 + ["dropped"] * 2
    assert results[-1].reason == "queue_full"
    assert made.stats() == (5, 0, 2, 0, 0, 3)


def test_a_full_queue_drops_by_bytes():
    made = producer(max_bytes=4_000)
    large = {"text": "x" * 1_400}
    assert [made.emit("order.created", context=CTX, payload=large).status for _ in range(3)] == [
        "accepted",
        "accepted",
        "dropped",
    ]
    assert made.emit("order.created", context=CTX, payload={"text": "x" * 60_000}).reason == "queue_full"


def test_overflow_without_a_loop_drops_instead_of_waiting():
    made = producer(capacity=1, overflow="block", block_timeout=60)
    made.emit("order.created", context=CTX)
    assert made.emit("order.created", context=CTX).status == "dropped"


def test_the_payload_is_what_it_was_at_the_call():
    sink = MemorySink()
    made = AuditProducer(sink, service="orders", registry=CollectorRegistry())
    payload = {"items": [1]}
    made.emit("order.created", payload=payload, context=CTX)
    payload["items"].append(2)
    payload["more"] = True

    async def main():
        await made.__aenter__()
        await made.close()

    asyncio.run(main())
    assert [event.payload for event in sink.events] == [{"items": [1]}]


@pytest.mark.parametrize(
    "options",
    [
        {"overflow": "spool"}, {"overflow": "never"}, {"capacity": 0}, {"max_bytes": 0}, {"batch_size": 0},
        {"linger": -1},        {"close_timeout": 0}, {"write_timeout": 0}, {"block_timeout": -1}, {"spool": object()},
    ],
)  # fmt: skip
def test_a_wrong_bound_is_told_at_once(options):
    with pytest.raises(ConfigurationError):
        producer(**options)


@pytest.mark.parametrize("service", ["", "a" * 129, "a\x00b"])
def test_a_service_that_no_event_can_name_is_told_at_once(service):
    with pytest.raises(ConfigurationError, match="service"):
        AuditProducer(MemorySink(), service=service, registry=CollectorRegistry())
