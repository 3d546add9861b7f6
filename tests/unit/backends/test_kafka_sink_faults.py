"""The Kafka sink when the broker is gone, silent or fenced: every wait ends, and afterwards events flow again."""

from __future__ import annotations

import asyncio
import gc
import random
import uuid

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer, SinkUnavailable
from tenaudit.audit.consumer import decode_event
from tenaudit.backends.kafka import KafkaSink
from tenaudit.testing.conformance import an_event
from tests.unit.backends.kafka_parts import alone, detour, eventually, new_topic, records_on, run, storm, timed

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

DEADLINE = 1.0
# Ending a producer takes up to a second after the deadline; two busy cores take their share.
GRACE = 2.5


def sink_on(service, topic, **options):
    options = {"delivery_timeout": DEADLINE, "close_timeout": 0.5, "registry": CollectorRegistry()} | options
    return KafkaSink(service.bootstrap_servers, topic, **options)


def rebuilds(registry, reason):
    return registry.get_sample_value("audit_kafka_producer_rebuilds_total", {"reason": reason}) or 0.0


@pytest.mark.parametrize("fault", ["refused", "half-open", "swallowed"])
def test_a_write_without_a_broker_ends_at_its_deadline_and_later_ones_arrive(kafka_service, fault):
    registry = CollectorRegistry()

    async def main():
        topic = await new_topic(kafka_service)
        async with detour(kafka_service) as proxy:
            sink = sink_on(kafka_service, topic, registry=registry)
            await sink.write([an_event(0)])
            match fault:
                case "refused":
                    proxy.refuse()
                    proxy.cut()
                case "half-open":
                    proxy.half_open()
                case "swallowed":
                    proxy.half_open(direction="downstream")
            seconds, error = await timed(sink.write([an_event(1), an_event(2)]))
            assert isinstance(error, SinkUnavailable)
            assert topic in str(error)
            assert seconds < DEADLINE + GRACE
            seconds, error = await timed(sink.write([an_event(1), an_event(2)]))
            assert isinstance(error, SinkUnavailable)
            assert seconds < DEADLINE + GRACE
            assert not sink.health().flowing
            proxy.heal()
            proxy.cut()
            await sink.write([an_event(1), an_event(2)])
            await sink.write([an_event(3)])
            assert sink.health().flowing
            await sink.close()
        return await records_on(kafka_service, topic)

    arrived = [decode_event(record.value).seq for record in run(main())]
    assert list(dict.fromkeys(arrived)) == [0, 1, 2, 3]
    assert rebuilds(registry, "deadline") >= 1


@pytest.mark.parametrize("fault", ["gone", "silent"])
@pytest.mark.parametrize("written", [True, False], ids=["after a write", "before any"])
def test_closing_without_a_broker_is_bounded_and_leaves_nothing_running(kafka_service, fault, written):
    async def main():
        topic = await new_topic(kafka_service)
        async with detour(kafka_service) as proxy:
            sink = sink_on(kafka_service, topic)
            if written:
                await sink.write([an_event(0)])
            if fault == "gone":
                proxy.refuse()
                proxy.cut()
            else:
                proxy.half_open()
            writing = asyncio.ensure_future(timed(sink.write([an_event(1)])))
            # By then the batch is on its way, or its producer is.
            await eventually(lambda: sink.health().waiting_for > 0.2 or writing.done())
            seconds, result = await timed(sink.close())
            assert result is None
            assert seconds < 0.5 + GRACE
            _, error = await writing
            assert isinstance(error, SinkUnavailable)
        await alone()

    run(main())
    # An unclosed connection would warn from its finalizer, and warnings are errors here.
    gc.collect()


def test_a_write_that_is_cancelled_again_and_again_does_not_keep_a_wedged_producer(kafka_service):
    registry = CollectorRegistry()

    async def main():
        topic = await new_topic(kafka_service)
        async with detour(kafka_service) as proxy:
            sink = sink_on(kafka_service, topic, registry=registry, delivery_timeout=0.6)
            await sink.write([an_event(0)])
            proxy.half_open()
            while rebuilds(registry, "stuck") == 0:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await sink.write([an_event(1)])
            proxy.heal()
            proxy.cut()
            await sink.write([an_event(1)])
            await sink.close()
        return await records_on(kafka_service, topic)

    arrived = [decode_event(record.value).seq for record in run(main())]
    assert list(dict.fromkeys(arrived)) == [0, 1]


def test_a_sender_that_somebody_cancelled_is_replaced(kafka_service):
    registry = CollectorRegistry()

    def cancel_senders():
        for task in asyncio.all_tasks():
            if task.get_coro().__qualname__ == "Sender._sender_routine":
                task.cancel()

    async def main():
        topic = await new_topic(kafka_service)
        sink = sink_on(kafka_service, topic, registry=registry, delivery_timeout=10)
        await sink.write([an_event(0)])
        cancel_senders()
        await asyncio.sleep(0)
        await sink.write([an_event(1)])
        writing = asyncio.ensure_future(timed(sink.write([an_event(2)])))
        await asyncio.sleep(0)
        cancel_senders()
        seconds, error = await writing
        assert error is None or isinstance(error, SinkUnavailable)
        assert seconds < 5
        await sink.write([an_event(2)])
        await sink.close()
        return await records_on(kafka_service, topic)

    arrived = [decode_event(record.value).seq for record in run(main())]
    assert list(dict.fromkeys(arrived)) == [0, 1, 2]
    assert rebuilds(registry, "sender_dead") >= 1


def test_writes_that_wait_for_their_turn_end_at_their_own_deadline(kafka_service):
    async def main():
        topic = await new_topic(kafka_service)
        async with detour(kafka_service) as proxy:
            sink = sink_on(kafka_service, topic)
            await sink.write([an_event(0)])
            proxy.half_open()
            ends = await asyncio.gather(*(timed(sink.write([an_event(n)])) for n in range(1, 6)))
            assert all(isinstance(error, SinkUnavailable) for _, error in ends)
            assert max(seconds for seconds, _ in ends) < DEADLINE + GRACE
            proxy.heal()
            proxy.cut()
            await asyncio.gather(*(sink.write([an_event(n)]) for n in range(1, 6)))
            await sink.close()
        return await records_on(kafka_service, topic)

    assert {decode_event(record.value).seq for record in run(main())} == set(range(6))


def test_no_broker_at_all_is_a_sink_that_is_unavailable():
    async def main():
        sink = KafkaSink("127.0.0.1:1", registry=CollectorRegistry(), delivery_timeout=1)
        seconds, error = await timed(sink.write([an_event(0)]))
        assert isinstance(error, SinkUnavailable)
        assert seconds < 1 + GRACE
        await sink.close()

    run(main())
    gc.collect()


def test_closing_ends_what_is_still_ending_and_a_start_that_hangs(kafka_service):
    async def main():
        topic = await new_topic(kafka_service)
        async with detour(kafka_service) as proxy:
            proxy.half_open()
            sink = sink_on(kafka_service, topic, delivery_timeout=30)
            writing = asyncio.ensure_future(timed(sink.write([an_event(0)])))
            await proxy.until(lambda stats: stats.accepted > 0)
            await sink.close()
            proxy.heal()
            _, error = await writing
            assert isinstance(error, SinkUnavailable)
            _, error = await timed(sink.write([an_event(0)]))
            assert isinstance(error, SinkUnavailable)
        await alone()

    run(main())
    gc.collect()


def test_a_start_that_is_cancelled_while_it_asks_for_brokers_leaves_nothing_open(kafka_service):
    async def main():
        topic = await new_topic(kafka_service)
        async with detour(kafka_service) as proxy:
            # The first answer tells versions and comes after half a second, the second tells brokers.
            proxy.delay(0.5, direction="downstream")
            sink = sink_on(kafka_service, topic, delivery_timeout=20)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.75):
                    await sink.write([an_event(0)])
            await sink.close()
            # No connection is left to the proxy's care.
            await proxy.until(lambda stats: stats.live == 0)
        await alone()

    run(main())
    gc.collect()


def test_a_loop_that_ends_while_a_producer_is_ending_leaves_nothing_open(kafka_service):
    async def main():
        topic = await new_topic(kafka_service)
        async with detour(kafka_service) as proxy:
            sink = sink_on(kafka_service, topic, close_timeout=30)
            await sink.write([an_event(0)])
            proxy.half_open()
            writing = asyncio.ensure_future(timed(sink.write([an_event(1)])))
            await eventually(lambda: sink.health().waiting_for > 0.2)
            closing = asyncio.ensure_future(sink.close())
            await asyncio.wait({closing}, timeout=0.05)
            closing.cancel()
            writing.cancel()

    run(main())
    gc.collect()


def test_a_write_that_waits_for_its_turn_when_the_sink_closes_opens_nothing_again(kafka_service):
    async def main():
        topic = await new_topic(kafka_service)
        async with detour(kafka_service) as proxy:
            sink = sink_on(kafka_service, topic, delivery_timeout=30)
            await sink.write([an_event(0)])
            proxy.half_open()
            writing = [asyncio.ensure_future(timed(sink.write([an_event(n)]))) for n in (1, 2)]
            await eventually(lambda: sink.health().waiting_for > 0.2)
            await sink.close()
            assert all(isinstance(error, SinkUnavailable) for _, error in await asyncio.gather(*writing))
        await alone()

    run(main())
    gc.collect()


async def acknowledged(sink, batch, chance):
    """Write until it is acknowledged, as a producer does; some tries are given up early."""
    while True:
        try:
            async with asyncio.timeout(chance.choice([0.05, 5.0])):
                return await sink.write(batch)
        except (SinkUnavailable, TimeoutError):
            continue


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_is_acknowledged_is_there_and_in_order_through_random_faults(kafka_service, seed):
    chance = random.Random(seed)
    tenants = [uuid.UUID(int=n) for n in range(1, 5)]

    async def main():
        topic = await new_topic(kafka_service, partitions=2)
        async with detour(kafka_service) as proxy:
            sink = sink_on(kafka_service, topic, delivery_timeout=0.5, batch_bytes=2000)
            blowing = asyncio.ensure_future(storm(proxy, chance))
            count = 0
            while sum(proxy.stats().faults.values()) < 12:
                batch = [an_event(n, tenant_id=tenants[n % 4]) for n in range(count, count + 20)]
                await acknowledged(sink, batch, chance)
                count += 20
            blowing.cancel()
            await asyncio.wait({blowing})
            proxy.heal()
            await sink.close()
        await alone()
        return count, await records_on(kafka_service, topic)

    count, records = run(main())
    arrived = [decode_event(record.value) for record in records]
    for tenant in tenants:
        firsts = list(dict.fromkeys(event.seq for event in arrived if event.tenant_id == tenant))
        assert firsts == [n for n in range(count) if tenants[n % 4] == tenant]


def test_a_producer_closes_within_its_grace_with_the_broker_gone(kafka_service):
    from uuid import UUID

    from tenaudit.security import Actor, SecurityContext, TraceContext

    context = SecurityContext(UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, sampled=False))

    async def main():
        topic = await new_topic(kafka_service)
        async with detour(kafka_service) as proxy:
            sink = sink_on(kafka_service, topic)
            producer = AuditProducer(sink, service="orders", registry=CollectorRegistry(), close_timeout=1.0)
            async with producer:
                producer.emit("order.created", context=context)
                assert await producer.flush(10)
                proxy.half_open()
                for _ in range(10):
                    producer.emit("order.created", context=context)
                seconds, _ = await timed(producer.close())
            assert seconds < 1.0 + GRACE
            stats = producer.stats()
            assert (stats.emitted, stats.delivered, stats.dropped) == (11, 1, 10)

    run(main())
