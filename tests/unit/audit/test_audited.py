"""Audited functions: what is recorded of each way a call can end, and that the call itself is not changed."""

from __future__ import annotations

import asyncio
import functools
import inspect
import uuid

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, ConfigurationError
from tenaudit.audit import (
    AuditProducer,
    DeliveryUnknown,
    EmitRejected,
    audited,
    bind_producer,
)
from tenaudit.security import Actor, SecurityContext, TraceContext, bind_context
from tenaudit.testing.scripted_sink import ScriptedSink

CTX = SecurityContext(uuid.UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))
OTHER = SecurityContext(uuid.UUID(int=2), Actor("u-2"), frozenset(), TraceContext("b" * 32, None, False))


def recorded(case, *, context=CTX, **options):
    """Run *case* with a bound producer and context, and return the events."""
    sink = ScriptedSink()

    async def main():
        async with (
            asyncio.timeout(30),
            AuditProducer(sink, service="orders", linger=0.0, registry=CollectorRegistry(), **options) as producer,
        ):
            with bind_producer(producer):
                if context is None:
                    await case(sink)
                else:
                    with bind_context(context):
                        await case(sink)
                assert producer.stats().rejected == case.__dict__.get("rejected", 0)

    asyncio.run(main())
    return sink.events


def told(events):
    return [(event.outcome, event.resource_type, event.resource_id, event.payload) for event in events]


def both(decorate, body):
    """Return a plain and an async function with the same body under the same decorator."""

    @decorate
    def plain(order_id, *, note="none"):
        return body(order_id)

    @decorate
    async def coroutine(order_id, *, note="none"):
        await asyncio.sleep(0)
        return body(order_id)

    async def awaited(*args, **kwargs):
        return plain(*args, **kwargs)

    return [awaited, coroutine]


def raiser(error):
    def body(_):
        raise error

    return body


@pytest.mark.parametrize("kind", [0, 1])
def test_a_call_that_returns_is_a_success(kind):
    call = both(audited("order.created", resource="order:{order_id}", severity="WARNING"), lambda n: n * 2)[kind]

    async def case(_sink):
        assert await call(21) == 42
        assert await call(order_id="é{x}") == "é{x}é{x}"

    events = recorded(case)
    assert told(events) == [("success", "order", "21", {}), ("success", "order", "é{x}", {})]
    assert {(event.action, event.severity, event.actor_id) for event in events} == {("order.created", "warn", "u-1")}


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (ApiError.forbidden(), "denied", "forbidden"),
        (ApiError.missing_role("refunds"), "denied", "missing_role"),
        (ApiError.unauthorized("a secret"), "denied", "unauthorized"),
        (ApiError.not_found("a secret", code="order_not_found"), "failure", "order_not_found"),
        (ApiError.internal(), "failure", "internal_error"),
        (ValueError("a secret"), "failure", "ValueError"),
        (asyncio.CancelledError(), "failure", "CancelledError"),
        (KeyboardInterrupt(), "failure", "KeyboardInterrupt"),
        (type("E" * 500, (Exception,), {})(), "failure", "E" * 128),
    ],
)
def test_a_call_that_raises_is_recorded_by_code_and_raises_the_same(kind, error, outcome, code):
    call = both(audited("order.created", resource="order:{order_id}", payload=lambda *_: {"never": 1}), raiser(error))[
        kind
    ]

    async def case(_sink):
        with pytest.raises(type(error)) as caught:
            await call(7)
        assert caught.value is error

    assert told(recorded(case)) == [(outcome, "order", "7", {"error": code})]


def test_a_call_that_is_cancelled_ends_at_once_and_is_a_failure():
    started = asyncio.Event()

    @audited("order.created", durability="durable")
    async def endless():
        started.set()
        await asyncio.Event().wait()

    async def case(sink):
        sink.down = True
        task = asyncio.ensure_future(endless())
        await started.wait()
        task.cancel()
        # Before the sink is there again: nothing was waited for.
        await asyncio.wait({task})
        assert task.cancelled()
        sink.down = False

    assert told(recorded(case)) == [("failure", None, None, {"error": "CancelledError"})]


def test_a_coroutine_that_is_closed_before_its_end_is_a_failure_of_who_began_it():
    @audited("order.created")
    async def waits():
        await asyncio.sleep(0)

    async def case(_sink):
        half_way = waits()
        half_way.send(None)
        with bind_context(OTHER):
            half_way.close()

    (event,) = recorded(case)
    assert (event.outcome, event.payload, event.actor_id) == ("failure", {"error": "GeneratorExit"}, "u-1")


def test_without_a_context_at_the_start_the_one_at_the_end_counts():
    @audited("order.created")
    async def login(bound):
        bound.__enter__()

    async def case(_sink):
        with bind_context(OTHER) as _:
            pass
        bound = bind_context(CTX)
        await login(bound)
        bound.__exit__(None, None, None)

    (event,) = recorded(case, context=None)
    assert event.actor_id == "u-1"


@pytest.mark.parametrize(
    ("resource", "wanted"),
    [
        (None, (None, None)),
        ("order:{order_id}", ("order", "o-1")),
        ("order:{result[id]}/{note}", ("order", "r-1/none")),
        ("order:{order_id!r:>8}", ("order", "   'o-1'")),
        ("order:all", ("order", "all")),
        ("order:{result.missing}", ("order", None)),
        (lambda arguments, result: ("order", f"{arguments['note']}-{result['id']}"), ("order", "none-r-1")),
        (lambda arguments, result: ("order", None), ("order", None)),
        (lambda arguments, result: None, (None, None)),
        (lambda arguments, result: 5, (None, None)),
        (lambda arguments, result: {}[result], (None, None)),
    ],
)
def test_a_resource_is_a_template_or_a_callable_and_never_an_error(resource, wanted):
    @audited("order.created", resource=resource)
    async def create(order_id, *, note="none"):
        return {"id": "r-1"}

    async def case(_sink):
        await create("o-1")

    (event,) = recorded(case)
    assert (event.resource_type, event.resource_id) == wanted


@pytest.mark.parametrize("odd", ["x" * 5000, "a\x00b", "\ud800", "é" * 1023])
def test_no_id_is_odd_enough_to_stay_out_of_the_trail(odd):
    @audited("order.read", resource="order:{order_id}")
    async def read(order_id):
        return None

    async def case(_sink):
        await read(odd)

    (event,) = recorded(case)
    assert event.resource_id
    assert len(event.resource_id.encode()) <= 1024


def test_the_payload_of_a_success_is_what_was_asked_for():
    @audited("order.created", payload=lambda arguments, result: {"note": arguments["note"], "total": result})
    async def create(*, note):
        return 5

    async def case(_sink):
        await create(note="n")

    (event,) = recorded(case)
    assert event.payload == {"note": "n", "total": 5}


@pytest.mark.parametrize(
    ("payload", "reason", "rejected"),
    [
        (lambda *_: {"text": "x" * 70_000}, "event_too_large", 1),
        (lambda *_: [1], "payload_not_json", 1),
        (lambda *_: {}["secret"], "KeyError", 0),
    ],
)
def test_a_payload_that_cannot_be_does_not_hide_the_call(payload, reason, rejected, caplog):
    @audited("order.created", payload=payload)
    async def create():
        return 5

    async def case(_sink):
        assert await create() == 5

    case.rejected = rejected
    (event,) = recorded(case)
    assert (event.outcome, event.payload) == ("success", {"payload_refused": reason})
    assert "secret" not in caplog.text


def test_without_any_context_the_call_goes_on_and_the_rejection_is_counted_once():
    @audited("order.created", payload=lambda *_: {"a": 1})
    async def create():
        return 5

    async def case(_sink):
        assert await create() == 5

    case.rejected = 1
    assert recorded(case, context=None) == []


def test_a_call_that_the_function_does_not_take_is_a_failure_too():
    call = audited("order.created", resource="order:{order_id}")(lambda order_id: order_id)

    async def case(_sink):
        with pytest.raises(TypeError):
            call()

    assert told(recorded(case)) == [("failure", "order", None, {"error": "TypeError"})]


def test_a_plain_function_that_hides_a_coroutine_is_recorded_at_its_end():
    def hiding(function):
        @functools.wraps(function)
        def inner(*args):
            return function(*args)

        return inner

    @audited("order.created")
    @hiding
    async def create():
        raise ValueError

    async def case(_sink):
        with pytest.raises(ValueError):
            await create()

    assert told(recorded(case)) == [("failure", None, None, {"error": "ValueError"})]


def test_a_durable_success_returns_once_the_sink_has_it():
    @audited("order.created", durability="durable")
    async def create():
        return 5

    async def case(sink):
        assert await create() == 5
        assert len(sink.events) == 1

    assert told(recorded(case)) == [("success", None, None, {})]


def test_a_durable_success_that_cannot_be_recorded_is_told_to_the_caller():
    done = []

    @audited("order.created", durability="durable", deadline=0.05)
    async def create():
        done.append(1)

    @audited("order.created", durability="durable", payload=lambda *_: [1])
    async def broken():
        done.append(2)

    async def case(sink):
        sink.down = True
        with pytest.raises(DeliveryUnknown):
            await create()
        with pytest.raises(EmitRejected):
            await broken()
        sink.down = False

    case.rejected = 1
    assert len(recorded(case)) == 1
    assert done == [1, 2]


def test_a_durable_failure_raises_its_own_exception_whatever_the_sink_does(caplog):
    error = ValueError("a secret")

    @audited("order.created", durability="durable", deadline=0.05)
    async def create():
        raise error

    async def case(sink):
        with pytest.raises(ValueError) as caught:
            await create()
        assert caught.value is error
        assert len(sink.events) == 1
        sink.down = True
        with pytest.raises(ValueError) as caught:
            await create()
        assert caught.value is error
        sink.down = False

    assert len(recorded(case)) == 2
    assert [record.error for record in caplog.records if record.action == "audited_not_durable"] == ["DeliveryUnknown"]
    assert "a secret" not in caplog.text


def test_the_function_looks_as_before():
    @audited("order.created")
    async def create(order_id: int, *, note: str = "n") -> int:
        """Make one."""
        return order_id

    @audited("order.created")
    def plain(order_id: int) -> int:
        return order_id

    assert (create.__name__, create.__doc__, create.__module__) == ("create", "Make one.", __name__)
    assert list(inspect.signature(create).parameters) == ["order_id", "note"]
    assert inspect.iscoroutinefunction(create)
    assert not inspect.iscoroutinefunction(plain)


def test_methods_are_functions():
    class Orders:
        @audited("order.created", resource="order:{self.prefix}{order_id}")
        def create(self, order_id):
            return order_id

        @classmethod
        @audited("order.counted")
        def count(cls):
            return 3

        prefix = "o-"

    async def case(_sink):
        assert Orders().create(4) == 4
        assert Orders.count() == 3

    assert told(recorded(case)) == [("success", "order", "o-4", {}), ("success", None, None, {})]


def test_a_given_producer_goes_before_the_bound_one():
    own = AuditProducer(ScriptedSink(), service="own", registry=CollectorRegistry())

    @audited("order.created", producer=own)
    def create():
        return None

    async def case(_sink):
        create()

    assert recorded(case) == []
    assert own.stats().queued == 1
    with bind_context(CTX):
        create()
    assert own.stats().queued == 2


def test_without_a_producer_the_function_does_not_run():
    ran = []
    plain, coroutine = both(audited("order.created"), ran.append)

    async def main():
        for call in (plain, coroutine):
            with pytest.raises(ConfigurationError, match=r"no producer for the audited action order\.created"):
                await call(1)

    asyncio.run(main())
    assert ran == []


def test_a_binding_ends_with_its_block_and_is_entered_once():
    outer, inner = (AuditProducer(ScriptedSink(), service="s", registry=CollectorRegistry()) for _ in "ab")
    create = audited("order.created")(lambda: None)
    binding = bind_producer(outer)
    with bind_context(CTX), binding:
        with pytest.raises(RuntimeError, match="already open"):
            binding.__enter__()
        with bind_producer(inner):
            create()
        create()
        create()
    binding.__exit__(None, None, None)
    assert (outer.stats().queued, inner.stats().queued) == (2, 1)


def numbers():
    yield 1


async def later_numbers():
    yield 1


class Shop:
    """Something to call that is no function."""


@pytest.mark.parametrize(
    ("options", "function", "said"),
    [
        ({}, numbers, "numbers is a generator"),
        ({}, later_numbers, "later_numbers is a generator"),
        ({}, Shop, "Shop is no function"),
        ({}, staticmethod(len), "no function"),
        ({}, 5, "5 is no function"),
        ({"durability": "durable"}, lambda: None, "is not async"),
        ({"durability": "atomic"}, None, "outbox"),
        ({"severity": "loud"}, None, "severity must be one of"),
        ({"deadline": 0}, None, "deadline"),
        ({"deadline": float("nan")}, None, "deadline"),
        ({"resource": "order"}, lambda order_id: None, "a resource is a template"),
        ({"resource": ":{order_id}"}, lambda order_id: None, "a resource is a template"),
        ({"resource": "order:"}, lambda order_id: None, "a resource is a template"),
        ({"resource": "{order_id}:1"}, lambda order_id: None, "a resource is a template"),
        ({"resource": "order:{id}"}, lambda order_id: None, "names 'id', which is no parameter"),
        ({"resource": "order:{order_id"}, lambda order_id: None, "is no template"),
        ({"resource": "order:{}"}, lambda order_id: None, "names '', which is no parameter"),
    ],
)
def test_what_cannot_be_audited_is_refused_where_it_is_written(options, function, said):
    with pytest.raises(ConfigurationError, match=said):
        audited("order.created", **options)(function)


@pytest.mark.parametrize("action", ["Order.created", "", "a" * 129])
def test_an_action_that_no_event_can_have_is_refused(action):
    with pytest.raises(ConfigurationError, match="dotted name"):
        audited(action)
