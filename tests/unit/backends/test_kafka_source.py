"""The Kafka source: bounds, epochs, commits that come too late, brokers that are gone or silent."""

from __future__ import annotations

import asyncio
import gc
import uuid

import pytest

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.consumer import Partition, SourceUnavailable
from tenaudit.backends.kafka import KafkaSource
from tests.unit.backends.kafka_parts import alone, committed, detour, eventually, new_topic, run, send_raw, timed

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

GRACE = 2.5
QUICK = {"start_timeout": 5.0, "commit_timeout": 1.0, "close_timeout": 0.5, "session_timeout": 6.0}


def source_on(service, topic, **options):
    return KafkaSource(service.bootstrap_servers, topic, **{"group": topic} | QUICK | options)


async def fetched(source, count, **bounds):
    """The next *count* records, however many calls that takes."""
    found = []
    async with asyncio.timeout(30):
        while len(found) < count:
            found += (await source.fetch(bounds.get("max_records", 100), bounds.get("max_bytes", 10**6), 0.2)).records
    return found


async def topic_with(service, *values, partitions=1):
    topic = await new_topic(service, partitions)
    for value in values:
        await send_raw(service, topic, value, key=b"k", headers=[("a", b"b")])
    return topic


def test_records_come_as_they_are_and_progress_is_kept(kafka_service):
    async def main():
        topic = await topic_with(kafka_service, b"one", b"two", b"three")
        source = source_on(kafka_service, topic)
        first, second, _ = await fetched(source, 3)
        assert (first.partition, first.offset, first.key, first.value) == (Partition(topic, 0), 0, b"k", b"one")
        assert first.headers == (("a", b"b"),)
        assert first.timestamp_ms > 1.7e12
        assert second.offset == 1
        assert source.lag() == 0
        epoch = (await source.fetch(1, 1, 0.01)).epoch
        assert await source.commit(epoch, {Partition(topic, 0): 2, Partition("other", 0): 9, Partition(topic, 7): 1})
        await source.close()
        assert await committed(kafka_service, topic, topic) == {0: 2}
        again = source_on(kafka_service, topic)
        assert [record.value for record in await fetched(again, 1)] == [b"three"]
        await again.close()
        await again.close()
        await alone()

    run(main())


def test_a_fetch_is_bounded_in_records_and_bytes_and_keeps_the_rest(kafka_service):
    async def main():
        topic = await topic_with(kafka_service, b"1", b"2", b"x" * 50, b"4", b"5", b"6")
        source = source_on(kafka_service, topic)
        sizes = [len(await fetched(source, 1, max_records=4, max_bytes=10))]
        sizes += [len((await source.fetch(4, 10, 5)).records) for _ in range(3)]
        assert sizes == [2, 1, 1, 2]
        await source.close()

    run(main())


def test_the_lag_counts_what_waits(kafka_service):
    async def main():
        topic = await topic_with(kafka_service, b"1", b"2", b"3", b"4")
        source = source_on(kafka_service, topic)
        assert source.lag() == 0
        await fetched(source, 1, max_records=1)
        assert source.lag() == 3
        await source.close()
        assert source.lag() == 0

    run(main())


def test_a_rebalance_settles_first_and_ends_the_epoch(kafka_service):
    async def main():
        topic = await topic_with(kafka_service, b"1", partitions=2)
        first, second = source_on(kafka_service, topic), source_on(kafka_service, topic)
        settled = []

        async def settle():
            if found:
                # What is committed while settling is kept: the epoch ends afterwards.
                settled.append(await first.commit(epoch, {found[0].partition: found[0].offset + 1}))

        found = []
        first.on_revoke(settle)
        found += await fetched(first, 1)
        epoch = (await first.fetch(1, 1, 0.01)).epoch

        async def read(source):
            while True:
                await source.fetch(10, 1000, 0.2)

        readers = [asyncio.ensure_future(read(source)) for source in (first, second)]
        await eventually(lambda: settled)
        await send_raw(kafka_service, topic, b"2", partition=0)
        assert settled == [True]
        assert not await first.commit(epoch, {found[0].partition: 0})
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
        await first.close()
        await second.close()
        assert await committed(kafka_service, topic, topic) == {found[0].partition.number: 1}

    run(main())


def test_a_member_that_the_group_has_given_up_commits_nothing(kafka_service):
    async def main():
        topic = await topic_with(kafka_service, b"1")
        async with detour(kafka_service) as proxy:
            first = source_on(kafka_service, topic)
            record = (await fetched(first, 1))[0]
            epoch = (await first.fetch(1, 1, 0.01)).epoch
            assert not await first.commit(epoch, {Partition(topic, 7): 1})
            proxy.half_open()
            asyncio.get_running_loop().detours.clear()
            # The group does without it after its session, and another one goes on.
            second = source_on(kafka_service, topic)
            assert (await fetched(second, 1))[0] == record
            proxy.heal()
            assert await first.commit(epoch, {record.partition: 1}) is False
            await second.close()
            seconds, _ = await timed(first.close())
            assert seconds < 0.5 + GRACE
        assert await committed(kafka_service, topic, topic) == {}
        await alone()

    run(main())
    gc.collect()


def test_a_broker_that_falls_silent_is_told_and_called_again(kafka_service):
    async def main():
        topic = await topic_with(kafka_service, b"1")
        async with detour(kafka_service) as proxy:
            source = source_on(kafka_service, topic, rebalance_timeout=0.5, silence_timeout=1.0)
            await fetched(source, 1)
            epoch = (await source.fetch(1, 1, 0.01)).epoch
            proxy.half_open()
            seconds, error = await timed(fetched(source, 1))
            assert isinstance(error, SourceUnavailable)
            assert topic in str(error)
            assert seconds < 1 + GRACE
            assert not await source.commit(epoch, {Partition(topic, 0): 1})
            proxy.heal()
            proxy.cut()
            # Nothing was committed, so the same record comes again.
            assert [record.value for record in await fetched_in_spite_of_errors(source)] == [b"1"]
            await source.close()
        await alone()

    run(main())
    gc.collect()


async def fetched_in_spite_of_errors(source):
    async with asyncio.timeout(40):
        while True:
            try:
                if records := (await source.fetch(10, 1000, 0.2)).records:
                    return records
            except SourceUnavailable:
                continue


@pytest.mark.parametrize("fault", ["gone", "silent"])
@pytest.mark.parametrize("joined", [True, False], ids=["joined", "not joined"])
def test_closing_without_a_broker_is_bounded_and_leaves_nothing_running(kafka_service, fault, joined):
    async def main():
        topic = await topic_with(kafka_service, b"1")
        async with detour(kafka_service) as proxy:
            source = source_on(kafka_service, topic, start_timeout=0.5)
            if joined:
                await fetched(source, 1)
            if fault == "gone":
                proxy.refuse()
                proxy.cut()
            else:
                proxy.half_open()
            if joined:
                await timed(source.fetch(1, 1, 0.2))
            else:
                seconds, error = await timed(source.fetch(1, 1, 0.2))
                assert isinstance(error, SourceUnavailable)
                assert seconds < 0.5 + GRACE
            seconds, result = await timed(source.close())
            assert result is None
            assert seconds < 0.5 + GRACE
            with pytest.raises(SourceUnavailable, match="closed"):
                await source.fetch(1, 1, 0.1)
        await alone()

    run(main())
    gc.collect()


def test_a_member_without_partitions_waits_in_peace(kafka_service):
    async def main():
        topic = await topic_with(kafka_service, b"1")
        first = source_on(kafka_service, topic, rebalance_timeout=5.0, silence_timeout=6.0)
        second = source_on(kafka_service, topic, rebalance_timeout=5.0, silence_timeout=6.0)
        got = []

        async def read(source, calls):
            for _ in range(calls):
                got.extend((await source.fetch(10, 1000, 0.2)).records)

        # Longer than the silence that a member with partitions would not stand.
        await asyncio.gather(read(first, 45), read(second, 45))
        assert {record.value for record in got} == {b"1"}
        await first.close()
        await second.close()

    run(main())


def test_commits_without_a_group_or_an_answer(kafka_service):
    async def main():
        topic = await topic_with(kafka_service, b"1")
        async with detour(kafka_service) as proxy:
            source = source_on(kafka_service, topic)
            assert not await source.commit(0, {Partition(topic, 0): 1})
            await fetched(source, 1)
            epoch = (await source.fetch(1, 1, 0.01)).epoch
            proxy.half_open()
            seconds, error = await timed(source.commit(epoch, {Partition(topic, 0): 1}))
            assert isinstance(error, SourceUnavailable)
            assert seconds < 1 + GRACE
            await source.close()

    run(main())


def test_a_source_serves_one_consumer():
    async def settle():
        pass

    source = KafkaSource("127.0.0.1:9092", group="audit-store")
    source.on_revoke(settle)
    # What the first one had in hand when it failed would be skipped, and never stored.
    with pytest.raises(ConfigurationError, match="make another one"):
        source.on_revoke(settle)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"start_timeout": 0}, "start_timeout"),
        ({"commit_timeout": 0}, "commit_timeout"),
        ({"close_timeout": 0}, "close_timeout"),
        ({"session_timeout": 0}, "session_timeout"),
        ({"rebalance_timeout": 0}, "rebalance_timeout"),
        ({"silence_timeout": 30}, "silence_timeout"),
        ({"fetch_bytes": 0}, "fetch_bytes"),
        ({"group": ""}, "group"),
        ({"topic": ""}, "topic"),
        ({"bootstrap_servers": " "}, "bootstrap_servers"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(options, told):
    with pytest.raises(ConfigurationError, match=told):
        KafkaSource(**{"bootstrap_servers": "127.0.0.1:9092", "group": uuid.uuid4().hex} | options)
