"""The outbox in a real PostgreSQL: both or neither, gaps of a sequence, leases and fences, dead letters, its sink."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditEvent, EmitRejected, SinkRejected, SinkUnavailable
from tenaudit.audit.outbox import Backlog, LeaseLost, OutboxError, OutboxRelay, OutboxUnavailable
from tenaudit.audit.outbox.entry import shard_of
from tenaudit.backends.postgres.outbox import PostgresOutbox, PostgresOutboxSink, create_outbox
from tenaudit.backends.postgres.outbox_relay import PostgresOutboxSource
from tenaudit.errors import ConfigurationError
from tenaudit.testing.conformance import SinkConformance
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event
from tenaudit.testing.proxy import TcpFaultProxy
from tenaudit.testing.scripted_sink import ScriptedSink
from tests.contracts.docs_pages import DOCS, blocks
from tests.unit.backends.outbox_parts import connected, context_of, own_schema, run

pytestmark = pytest.mark.services

ONE = context_of(1)


@pytest.fixture(scope="module")
def module_dsn(postgres_service):
    with own_schema(postgres_service) as dsn:
        yield dsn


@pytest.fixture
def dsn(module_dsn):
    async def empty():
        async with connected(module_dsn) as connection:
            await connection.execute("TRUNCATE tenaudit_outbox, tenaudit_outbox_dead")
            await connection.execute("UPDATE tenaudit_outbox_shards SET claimed_until = '-infinity'")

    run(empty())
    return module_dsn


def an_outbox(**options):
    return PostgresOutbox("orders", registry=CollectorRegistry(), **options)


def a_relay(source, sink, **options):
    return OutboxRelay(source, sink, registry=CollectorRegistry(), **options)


async def count(connection, table="tenaudit_outbox"):
    return await connection.fetchval(f"SELECT count(*) FROM {table}")


async def filled(dsn, *events):
    sink = PostgresOutboxSink(dsn)
    await sink.write(events)
    await sink.close()


async def expire(connection):
    await connection.execute("UPDATE tenaudit_outbox_shards SET claimed_until = clock_timestamp()")


# In the caller's transaction


def test_an_event_is_committed_or_rolled_back_with_the_change(dsn):
    async def failing(connection, payload):
        async with connection.transaction():
            await an_outbox().emit(connection, "order.created", payload=payload, context=ONE)
            raise ZeroDivisionError

    async def main():
        outbox, sink, source = an_outbox(), ScriptedSink(), PostgresOutboxSource(dsn)
        async with connected(dsn) as connection:
            async with connection.transaction():
                kept = await outbox.emit(connection, "order.created", payload={"n": 1}, context=ONE)
            with pytest.raises(ZeroDivisionError):
                await failing(connection, {"n": 2})
            async with connection.transaction():
                with pytest.raises(ZeroDivisionError):
                    await failing(connection, {"n": 3})
            await a_relay(source, sink).drain()
            assert [event.event_id for event in sink.events] == [kept.event_id]
            assert kept.status == "accepted"
            assert await count(connection) == 0
        await source.close()

    run(main())


def test_without_a_transaction_nothing_is_written(dsn):
    async def main():
        async with asyncpg.create_pool(dsn, min_size=0, max_size=1) as pool:
            async with pool.acquire() as connection:
                with pytest.raises(OutboxError) as caught:
                    await an_outbox().emit(connection, "order.created", context=ONE)
                assert caught.value.code == "no_transaction"
                assert await count(connection) == 0
            with pytest.raises(OutboxError, match="InterfaceError") as caught:
                await an_outbox().emit(connection, "order.created", context=ONE)
            assert caught.value.code == "write_failed"

    run(main())


def test_a_refused_event_leaves_the_transaction_as_it_was(dsn):
    async def main():
        async with connected(dsn) as connection, connection.transaction():
            with pytest.raises(EmitRejected) as caught:
                await an_outbox().emit(connection, "Order Created", context=ONE)
            assert caught.value.reason == "invalid_action"
            assert await count(connection) == 0

    run(main())


def test_a_transaction_that_failed_already_says_so_with_its_state_and_no_value(dsn):
    async def main():
        async with connected(dsn) as connection:
            transaction = connection.transaction()
            await transaction.start()
            with pytest.raises(asyncpg.DivisionByZeroError):
                await connection.execute("SELECT 1/0")
            with pytest.raises(OutboxError) as caught:
                await an_outbox().emit(connection, "order.created", payload={"secret": "s3cr3t"}, context=ONE)
            assert (caught.value.code, caught.value.sqlstate) == ("write_failed", "25P02")
            assert "s3cr3t" not in str(caught.value)
            assert caught.value.__cause__ is None
            await transaction.rollback()

    run(main())


def test_a_server_that_does_not_answer_is_given_up_at_the_deadline(dsn):
    async def main():
        async with connected(dsn) as holder, connected(dsn) as connection, holder.transaction():
            await holder.execute("LOCK TABLE tenaudit_outbox IN ACCESS EXCLUSIVE MODE")
            transaction = connection.transaction()
            await transaction.start()
            with pytest.raises(OutboxError) as caught:
                await an_outbox(deadline=0.1).emit(connection, "order.created", context=ONE)
            assert caught.value.code == "deadline_exceeded"
            await transaction.rollback()

    run(main())


def test_a_database_without_the_tables_is_named(postgres_service):
    async def main():
        async with connected(postgres_service.dsn) as connection, connection.transaction():
            with pytest.raises(OutboxError) as caught:
                await an_outbox().emit(connection, "order.created", context=ONE)
            assert (caught.value.code, caught.value.sqlstate) == ("outbox_missing", "42P01")
        source = PostgresOutboxSource(postgres_service.dsn)
        with pytest.raises(OutboxUnavailable, match="create_outbox"):
            await source.claim()
        await source.close()

    run(main())


def test_a_repeated_transaction_with_the_same_id_relays_the_same_event(dsn):
    async def main():
        outbox, sink, source = an_outbox(), ScriptedSink(), PostgresOutboxSource(dsn)
        async with connected(dsn) as connection:
            for _ in range(2):
                async with connection.transaction():
                    await outbox.emit(connection, "order.created", context=ONE, event_id=an_event(0).event_id)
        assert await a_relay(source, sink).drain() == 2
        assert sink.events[0] == sink.events[1]
        await source.close()

    run(main())


def test_several_who_make_the_tables_at_once_all_succeed_and_nothing_is_lost(dsn):
    async def one():
        async with connected(dsn) as connection:
            await create_outbox(connection)

    async def fresh(schema):
        async with connected(f"{dsn.rpartition('search_path=')[0]}search_path={schema}") as connection:
            await create_outbox(connection)

    async def main():
        await filled(dsn, an_event(0))
        await asyncio.gather(*(one() for _ in range(4)))
        async with connected(dsn) as connection:
            assert await count(connection) == 1
            assert await count(connection, "tenaudit_outbox_shards") == 32
            schema = f"{dsn.rpartition('search_path=')[2]}_2"
            await connection.execute(f"CREATE SCHEMA {schema}")
            await asyncio.gather(*(fresh(schema) for _ in range(6)))
            assert await count(connection, f"{schema}.tenaudit_outbox_shards") == 32
            await connection.execute(f"DROP SCHEMA {schema} CASCADE")

    run(main())


def test_tables_that_may_not_be_made_are_a_coded_error(dsn):
    async def main():
        async with connected(dsn) as connection:
            await connection.execute("SET default_transaction_read_only = on")
            await connection.execute("SET search_path = nowhere")
            with pytest.raises(OutboxError) as caught:
                await create_outbox(connection)
            assert caught.value.code == "write_failed"
            assert caught.value.sqlstate is not None

    run(main())


def test_whoever_emits_needs_no_more_than_insert(dsn):
    schema = dsn.rpartition("search_path=")[2]
    role = f"emitter_{schema[-12:]}"

    async def main():
        async with connected(dsn) as owner, connected(dsn) as connection:
            await owner.execute(f"CREATE ROLE {role}")
            await owner.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
            await owner.execute(f"GRANT INSERT ON tenaudit_outbox TO {role}")
            try:
                await connection.execute(f"SET ROLE {role}")
                async with connection.transaction():
                    await an_outbox().emit(connection, "order.created", context=ONE)
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute("DELETE FROM tenaudit_outbox")
                assert await count(owner) == 1
            finally:
                await connection.execute("RESET ROLE")
                await owner.execute(f"DROP OWNED BY {role}")
                await owner.execute(f"DROP ROLE {role}")

    run(main())


# The relay


def test_a_number_that_is_committed_late_arrives_all_the_same(dsn):
    async def main():
        outbox, sink, source = an_outbox(), ScriptedSink(), PostgresOutboxSource(dsn)
        relay = a_relay(source, sink)
        async with connected(dsn) as a, connected(dsn) as b:
            late = a.transaction()
            await late.start()
            await outbox.emit(a, "order.created", payload={"n": 1}, context=ONE)
            async with b.transaction():
                await outbox.emit(b, "order.created", payload={"n": 2}, context=ONE)
            assert await relay.drain() == 1
            assert [event.payload["n"] for event in sink.events] == [2]
            await late.commit()
        assert await relay.drain() == 1
        assert [event.payload["n"] for event in sink.events] == [2, 1]
        await source.close()

    run(main())


def test_a_lower_number_that_is_committed_between_reading_and_deleting_stays(dsn):
    async def main():
        outbox, sink, source = an_outbox(), ScriptedSink(), PostgresOutboxSource(dsn)
        async with connected(dsn) as a, connected(dsn) as b:
            late = a.transaction()
            await late.start()
            await outbox.emit(a, "order.created", payload={"n": 1}, context=ONE)
            async with b.transaction():
                await outbox.emit(b, "order.created", payload={"n": 2}, context=ONE)
            lease = await source.claim()
            (taken,) = await source.read(lease, 10, 10**6)
            await late.commit()
            await source.settle(lease, [taken.position], {})
            await source.release(lease)
        await a_relay(source, sink).drain()
        assert [event.payload["n"] for event in sink.events] == [1]
        await source.close()

    run(main())


def test_relays_share_the_shards_and_a_held_one_is_left_alone(dsn):
    async def main():
        assert shard_of(TENANT) != shard_of(OTHER_TENANT)
        await filled(dsn, an_event(0), an_event(1, tenant_id=OTHER_TENANT), an_event(2))
        sources = [PostgresOutboxSource(dsn) for _ in range(3)]
        leases = [await source.claim() for source in sources]
        assert {lease and lease.shard for lease in leases} == {shard_of(TENANT), shard_of(OTHER_TENANT), None}
        place = [lease and lease.shard for lease in leases].index(shard_of(TENANT))
        taken = await sources[place].read(leases[place], 10, 10**6)
        assert [entry.event for entry in taken] == [an_event(0), an_event(2)]
        await sources[place].release(leases[place])
        assert (await sources[2].claim()).shard == shard_of(TENANT)
        for source in sources:
            await source.close()

    run(main())


def test_many_who_claim_at_once_never_hold_the_same_shard(dsn):
    async def main():
        await filled(dsn, *[an_event(n, tenant_id=UUID(int=n)) for n in range(64)])
        sources = [PostgresOutboxSource(dsn) for _ in range(4)]
        leases = [
            lease for _ in range(3) for lease in await asyncio.gather(*(source.claim() for source in sources)) if lease
        ]
        assert len({lease.shard for lease in leases}) == len(leases)
        for source in sources:
            await source.close()

    run(main())


def test_the_shard_that_was_served_longest_ago_comes_first(dsn):
    async def main():
        await filled(dsn, an_event(0), an_event(1, tenant_id=OTHER_TENANT))
        source = PostgresOutboxSource(dsn)
        seen = []
        for _ in range(4):
            lease = await source.claim()
            seen.append(lease.shard)
            await source.release(lease)
        assert seen[:2] == seen[2:]
        assert len(set(seen)) == 2
        await source.close()

    run(main())


def test_a_relay_that_lost_its_shard_can_delete_nothing(dsn):
    async def main():
        await filled(dsn, an_event(0), an_event(1))
        old, new = PostgresOutboxSource(dsn), PostgresOutboxSource(dsn)
        lost = await old.claim()
        taken = await old.read(lost, 10, 10**6)
        async with connected(dsn) as connection:
            await expire(connection)
            held = await new.claim()
            assert held.shard == lost.shard
            assert held.epoch > lost.epoch
            for delivered, dead in (([taken[0].position], {}), ([], {taken[0].position: "no"})):
                with pytest.raises(LeaseLost):
                    await old.settle(lost, delivered, dead)
            assert await count(connection) == 2
            assert await count(connection, "tenaudit_outbox_dead") == 0
            assert await old.read(lost, 10, 10**6) == []
            await old.release(lost)
            assert await old.claim() is None
            await new.settle(held, [entry.position for entry in taken], {})
            assert await count(connection) == 0
        await old.close()
        await new.close()

    run(main())


def test_a_lease_that_ran_out_but_that_nobody_took_still_settles_and_is_renewed(dsn):
    async def main():
        await filled(dsn, an_event(0), an_event(1))
        source, other = PostgresOutboxSource(dsn), PostgresOutboxSource(dsn)
        lease = await source.claim()
        taken = await source.read(lease, 1, 10**6)
        async with connected(dsn) as connection:
            await expire(connection)
        await source.settle(lease, [taken[0].position], {})
        assert await other.claim() is None
        await source.close()
        await other.close()

    run(main())


def test_a_batch_is_bounded_in_events_and_bytes_but_never_empty(dsn):
    async def main():
        await filled(dsn, *[an_event(n, payload={"x": "y" * 1000}) for n in range(6)])
        source = PostgresOutboxSource(dsn)
        lease = await source.claim()
        sizes = [len(await source.read(lease, *bounds)) for bounds in ((4, 10**6), (10, 3000), (10, 1))]
        assert sizes == [4, 3, 1]
        await source.close()

    run(main())


def test_what_the_sink_refuses_goes_to_the_dead_letters_with_its_reason(dsn):
    async def main():
        events = [an_event(n) for n in range(5)]
        await filled(dsn, *events)
        source, sink = PostgresOutboxSource(dsn), ScriptedSink()

        async def write(batch):
            if wrong := [event.event_id for event in batch if event.payload["number"] == 3]:
                raise SinkRejected(wrong, "odd\x00\ud800" + "x" * 1000)
            sink.events += batch

        sink.write = write
        await a_relay(source, sink).drain()
        assert sink.events == [event for event in events if event != events[3]]
        async with connected(dsn) as connection:
            (dead,) = await connection.fetch("SELECT * FROM tenaudit_outbox_dead")
            assert await count(connection) == 0
        assert dead["reason"].startswith("odd?x")
        assert len(dead["reason"]) < 201
        assert (dead["event_id"], dead["tenant_id"]) == (events[3].event_id, TENANT)
        assert AuditEvent.model_validate_json(dead["event"]) == events[3]
        await source.close()

    run(main())


def test_dead_letters_are_relayed_again_as_the_guide_says(dsn):
    (replay,) = [one.text for one in blocks(DOCS / "howto" / "emit-in-a-transaction.md") if one.language == "sql"]

    async def main():
        events = [an_event(n) for n in range(3)]
        await filled(dsn, *events)
        source, sink = PostgresOutboxSource(dsn), ScriptedSink()
        sink.refuses = lambda event: True
        assert await a_relay(source, sink).drain() == 3
        async with connected(dsn) as connection:
            assert await count(connection, "tenaudit_outbox_dead") == 3
            await connection.execute(replay)
        sink.refuses = lambda event: False
        await a_relay(source, sink).drain()
        assert sink.events == events
        await source.close()

    run(main())


def test_a_row_that_is_no_event_holds_nobody_up(dsn):
    async def main():
        await filled(dsn, an_event(0), an_event(1))
        async with connected(dsn) as connection:
            await connection.execute("UPDATE tenaudit_outbox SET event = '{' WHERE event_id = $1", an_event(0).event_id)
            source, sink = PostgresOutboxSource(dsn), ScriptedSink()
            await a_relay(source, sink).drain()
            assert sink.events == [an_event(1)]
            assert await connection.fetchval("SELECT reason FROM tenaudit_outbox_dead") == "unreadable"
        await source.close()

    run(main())


def test_the_backlog_is_counted_and_dated(dsn):
    async def main():
        source = PostgresOutboxSource(dsn)
        assert await source.backlog() == Backlog(0, 0.0)
        await filled(dsn, an_event(0), an_event(1))
        async with connected(dsn) as connection:
            await connection.execute(
                "UPDATE tenaudit_outbox SET enqueued_at = now() - interval '1 hour' WHERE event_id = $1",
                an_event(0).event_id,
            )
        waiting = await source.backlog()
        assert waiting.entries == 2
        assert 3600 <= waiting.oldest_age < 3700
        await source.close()

    run(main())


def test_a_server_that_hangs_costs_no_more_than_the_deadline_and_nothing_is_lost(dsn):
    parts = urlsplit(dsn)

    async def main():
        loop = asyncio.get_running_loop()
        await filled(dsn, an_event(0))
        async with TcpFaultProxy(parts.hostname, parts.port) as proxy:
            netloc = f"{parts.username}:{parts.password or ''}@{proxy.host}:{proxy.port}"
            through = urlunsplit(parts._replace(netloc=netloc))
            source = PostgresOutboxSource(through, deadline=0.5)
            far = PostgresOutboxSink(through, deadline=0.5)
            lease = await source.claim()
            (taken,) = await source.read(lease, 1, 10**6)
            await far.write([an_event(1)])
            proxy.half_open()
            for call, error in (
                (lambda: source.settle(lease, [taken.position], {}), OutboxUnavailable),
                (lambda: far.write([an_event(2)]), SinkUnavailable),
            ):
                began = loop.time()
                with pytest.raises(error, match=r"no answer within 0\.5 s"):
                    await call()
                assert loop.time() - began < 3
            proxy.heal()
            await source.settle(lease, [taken.position], {})
            proxy.half_open()
            began = loop.time()
            await source.close()
            await far.close()
            assert loop.time() - began < 3

    run(main())


def test_a_relay_that_the_network_hides_in_its_transaction_frees_its_shard(dsn):
    parts = urlsplit(dsn)
    held = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE%'"

    async def main():
        await filled(dsn, an_event(0))
        async with TcpFaultProxy(parts.hostname, parts.port) as proxy, connected(dsn) as other, connected(dsn) as seen:
            netloc = f"{parts.username}:{parts.password or ''}@{proxy.host}:{proxy.port}"
            hidden = PostgresOutboxSource(urlunsplit(parts._replace(netloc=netloc)), deadline=2)
            lease = await hidden.claim()
            (taken,) = await hidden.read(lease, 1, 10**6)
            # The settlement has its shard's row locked and waits for the entry's.
            blocks_it = other.transaction()
            await blocks_it.start()
            await other.execute("SELECT FROM tenaudit_outbox FOR UPDATE")
            settling = asyncio.ensure_future(hidden.settle(lease, [taken.position], {}))
            async with asyncio.timeout(20):
                while not await seen.fetchval(held):
                    assert not settling.done()
            proxy.half_open()
            await blocks_it.rollback()
            with pytest.raises(OutboxUnavailable):
                await settling
            # Its end did not get through either, so PostgreSQL has to find out by itself.
            await seen.execute("SET lock_timeout = '10s'")
            await expire(seen)
            source = PostgresOutboxSource(dsn)
            assert (await source.claim()).shard == lease.shard
            await source.close()
            await hidden.close()

    run(main())


def test_a_server_that_is_away_is_unavailable_and_its_dsn_is_not_told():
    async def main():
        source = PostgresOutboxSource("postgresql://u:s3cr3t@127.0.0.1:1/db", deadline=2.0)
        with pytest.raises(OutboxUnavailable) as caught:
            await source.claim()
        assert "s3cr3t" not in str(caught.value)
        await source.close()
        await source.close()
        with pytest.raises(OutboxUnavailable, match="closed"):
            await source.backlog()

    run(main())


def test_a_ready_pool_stays_its_makers(dsn):
    async def main():
        async with asyncpg.create_pool(dsn, min_size=0, max_size=2) as pool:
            sink, source = PostgresOutboxSink(pool), PostgresOutboxSource(pool)
            await sink.write([an_event(0)])
            assert await source.claim() is not None
            await sink.close()
            await source.close()
            assert await pool.fetchval("SELECT count(*) FROM tenaudit_outbox") == 1

    run(main())


@pytest.mark.parametrize(
    "make",
    [
        lambda: PostgresOutboxSource("mysql://u:p@h/d"),
        lambda: PostgresOutboxSource("postgresql://h/d", lease=0.0),
        lambda: PostgresOutboxSource("postgresql://h/d", deadline=float("inf")),
        lambda: PostgresOutboxSink("postgresql://h/d", deadline=0.0),
        lambda: PostgresOutbox("orders", deadline=0.0),
    ],
)
def test_settings_without_sense_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()


class TestPostgresOutboxSink(SinkConformance):
    @pytest.fixture(autouse=True)
    def _database(self, dsn):
        self.dsn = dsn

    async def open_sink(self, folder: Path) -> PostgresOutboxSink:
        return PostgresOutboxSink(self.dsn)

    async def stored(self, sink: PostgresOutboxSink, folder: Path) -> list[AuditEvent]:
        async with connected(self.dsn) as connection:
            rows = await connection.fetch("SELECT event FROM tenaudit_outbox ORDER BY id")
        return [AuditEvent.model_validate_json(row["event"]) for row in rows]
