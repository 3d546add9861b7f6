"""Kafka for tests: topics of their own, what is on them, and a loop that takes the broker's port through a proxy."""

from __future__ import annotations

import asyncio
import time
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tenaudit.testing.proxy import TcpFaultProxy

WITHIN = 60.0


class DetouringLoop(asyncio.SelectorEventLoop):
    """Connects to another port than it was asked for: a broker advertises its own address, never a proxy's."""

    def __init__(self):
        super().__init__()
        self.detours = {}

    async def create_connection(self, protocol_factory, host=None, port=None, **options):
        return await super().create_connection(protocol_factory, host, self.detours.get(port, port), **options)


def run(main):
    async def bounded():
        async with asyncio.timeout(WITHIN):
            return await main

    with asyncio.Runner(loop_factory=DetouringLoop) as runner:
        return runner.run(bounded())


def port_of(service):
    return int(service.bootstrap_servers.rpartition(":")[2])


def detour(service):
    """A proxy before the broker, which this loop's clients take from now on, until the block ends."""
    port = port_of(service)
    proxy = TcpFaultProxy("127.0.0.1", port)
    loop = asyncio.get_running_loop()

    class Detour:
        async def __aenter__(self):
            await proxy.start()
            loop.detours[port] = proxy.port
            return proxy

        async def __aexit__(self, *_):
            loop.detours.clear()
            await proxy.aclose()

    return Detour()


async def new_topic(service, partitions=1, **config):
    name = f"audit-{uuid.uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=service.bootstrap_servers)
    await admin.start()
    try:
        topic = NewTopic(
            name, partitions, 1, topic_configs={key.replace("_", "."): str(n) for key, n in config.items()}
        )
        await admin.create_topics([topic])
    finally:
        await admin.close()
    return name


async def records_on(service, topic):
    """Every record of a topic, partition by partition, in the order of their offsets."""
    consumer = AIOKafkaConsumer(bootstrap_servers=service.bootstrap_servers)
    await consumer.start()
    try:
        numbers = await consumer._client._wait_on_metadata(topic)
        places = [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found = []
        for place in places:
            consumer.seek(place, 0)
            while await consumer.position(place) < ends[place]:
                batch = await consumer.getmany(place, timeout_ms=1000)
                found += batch.get(place, [])
        return found
    finally:
        await consumer.stop()


async def timed(awaitable):
    """Seconds that something took, and what came of it: its result, or the error it raised."""
    start = time.monotonic()
    try:
        result = await awaitable
    except Exception as error:  # noqa: BLE001 - handed to the test
        result = error
    return time.monotonic() - start, result


async def alone():
    """Wait until no other task of this loop runs: what was ending has ended."""
    mine = asyncio.current_task()
    async with asyncio.timeout(5):
        while left := [task for task in asyncio.all_tasks() if task is not mine]:
            await asyncio.wait(left, timeout=0.05)


async def send_raw(service, topic, value, **options):
    """Put bytes on a topic as they are."""
    async with AIOKafkaProducer(bootstrap_servers=service.bootstrap_servers) as producer:
        await producer.send_and_wait(topic, value, **options)


async def ends_of(service, topic):
    """The offsets after the last records, by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=service.bootstrap_servers)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in await consumer._client._wait_on_metadata(topic)]
        return {place.partition: end for place, end in (await consumer.end_offsets(places)).items() if end}
    finally:
        await consumer.stop()


async def committed(service, topic, group):
    """The offsets that a group has committed, by partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=service.bootstrap_servers)
    await admin.start()
    try:
        kept = await admin.list_consumer_group_offsets(group)
        return {place.partition: told.offset for place, told in kept.items() if place.topic == topic}
    finally:
        await admin.close()


async def eventually(holds, within=45):
    """Wait until something is true that tells nobody when it becomes so."""
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)


_FAULTS = (
    lambda proxy: proxy.cut(),
    lambda proxy: proxy.half_open(),
    lambda proxy: proxy.half_open(direction="downstream"),
    lambda proxy: proxy.delay(0.02),
    lambda proxy: proxy.slice(100),
    lambda proxy: (proxy.refuse(), proxy.cut()),
)


async def storm(proxy, chance):
    """One fault after the other, until cancelled."""
    while True:
        chance.choice(_FAULTS)(proxy)
        await asyncio.sleep(chance.uniform(0, 0.6))
        proxy.heal()
        await asyncio.sleep(chance.uniform(0, 0.1))
