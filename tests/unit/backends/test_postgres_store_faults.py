"""The store in PostgreSQL when the server hangs, goes, is busy, or the caller goes away in the middle."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from tenaudit.audit import AppendResult, AuditQuery, SinkRejected, StoreError
from tenaudit.backends.postgres import PostgresStore
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tenaudit.testing.proxy import TcpFaultProxy
from tests.unit.backends.postgres_databases import ROLES, WITHIN, at, database, execute, migrated, run, user

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def template(postgres_service):
    with migrated(postgres_service.dsn) as dsn:
        yield dsn


@pytest.fixture
def admin(postgres_service, template):
    with database(postgres_service.dsn, template=template) as dsn:
        yield dsn


@pytest.fixture
def dsn(admin):
    with user(admin, *ROLES) as dsn:
        yield dsn


@asynccontextmanager
async def proxied(dsn):
    parts = urlsplit(dsn)
    async with TcpFaultProxy(parts.hostname, parts.port) as proxy:
        yield proxy, at(dsn, port=proxy.port, user=parts.username, password=parts.password)


@asynccontextmanager
async def held_logs(admin):
    """Hold the heads of all logs, as another sequencer does."""
    connection = await asyncpg.connect(admin, timeout=WITHIN, command_timeout=WITHIN)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT 1 FROM tenaudit.logs FOR UPDATE")
    try:
        yield connection
    finally:
        await transaction.rollback()
        await connection.close(timeout=WITHIN)


async def somebody_waits(connection):
    while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        pass


def test_a_server_that_hangs_is_given_up_at_the_deadline(dsn):
    async def main():
        loop = asyncio.get_running_loop()
        async with proxied(dsn) as (proxy, there):
            store = PostgresStore.connect(there, deadline=0.5, max_connections=2)
            await store.append([an_event(0)])
            proxy.half_open()
            for call in (
                lambda: store.append([an_event(1)]),
                lambda: store.search(AuditQuery(TENANT)),
                lambda: store.get(TENANT, an_event(0).event_id),
                store.tenants,
                store.count,
                store.seal,
                store.verify,
            ):
                began = loop.time()
                with pytest.raises(StoreError, match=r"no answer within 0\.5 s; check"):
                    await call()
                assert loop.time() - began < 3
            proxy.heal()
            assert await store.append([an_event(0), an_event(1)]) == (1, 1, 0, 0)
            proxy.half_open()
            began = loop.time()
            await store.close()
            assert loop.time() - began < 3

    run(main())


@pytest.mark.parametrize("break_it", ["refuse", "accept_nowhere", "cut"])
def test_a_server_that_is_not_there_is_one_kind_of_error(dsn, break_it):
    async def main():
        async with proxied(dsn) as (proxy, there):
            if break_it == "cut":
                proxy.cut(after=1, direction="downstream")
            else:
                getattr(proxy, break_it)()
            with pytest.raises(StoreError) as caught:
                await PostgresStore.connect(there, deadline=0.5)
            assert caught.value.__cause__ is None
            assert there not in str(caught.value)

    run(main())


@pytest.mark.parametrize("after", [1, 300, 1000, 2000])
def test_a_connection_that_is_cut_in_the_middle_stores_all_or_nothing(dsn, after):
    events = [an_event(n) for n in range(20)]

    async def main():
        async with proxied(dsn) as (proxy, there), PostgresStore.connect(dsn) as direct:
            store = await PostgresStore.connect(there)
            proxy.cut(after=after, direction="upstream")
            with pytest.raises(StoreError, match="PostgreSQL failed"):
                await store.append(events)
            assert await direct.count() == 0
            proxy.heal()
            assert await store.append(events) == (20, 0, 0, 0)
            assert (await store.verify()).verified
            await store.close()

    run(main())


def test_the_password_stands_in_no_message(dsn):
    good = at(dsn, user="nobody", password="hunter2")
    wrong = [
        good,
        f"{good}?sslmode=bogus",
        good.replace("@", "/@"),
        "postgresql://u:hunter2@127.0.0.1:port/d",
        "postgresql://u:hunter2@127.0.0.1:0/d",
        "postgresql://[hunter2",
    ]

    async def main():
        for url in wrong:
            with pytest.raises(StoreError) as caught:
                await PostgresStore.connect(url)
            assert "hunter2" not in f"{caught.value} {caught.value.__cause__} {caught.value!r}"

    run(main())


def test_a_writer_waits_for_the_tenants_other_sequencer_no_longer_than_the_deadline(admin, dsn):
    async def main():
        async with PostgresStore.connect(dsn, deadline=0.6, max_connections=2) as store:
            await store.append([an_event(0)])
            async with held_logs(admin):
                for call in (store.append([an_event(1)]), store.append([an_event(0)])):
                    with pytest.raises(StoreError, match=r"no answer within|LockNotAvailable|QueryCanceled"):
                        await call
                # Who reads, and another tenant's sequencer, wait for nobody.
                assert (await store.search(AuditQuery(TENANT))).events == (an_event(0),)
                assert await store.append([an_event(0, tenant_id=OTHER_TENANT)]) == (1, 0, 0, 0)
            assert await store.append([an_event(1)]) == (1, 0, 0, 0)

    run(main())


def test_who_finds_no_connection_free_is_told_within_the_deadline(admin, dsn):
    async def main():
        loop = asyncio.get_running_loop()
        async with PostgresStore.connect(dsn, deadline=0.7, max_connections=2) as store:
            await store.append([an_event(0)])
            async with held_logs(admin):
                began = loop.time()
                done = await asyncio.gather(*(store.append([an_event(n)]) for n in range(30)), return_exceptions=True)
                assert loop.time() - began < 5
                assert {type(one) for one in done} == {StoreError}
                (connections,) = await execute(
                    admin, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tenaudit'"
                )
                assert connections[0][0] <= 2
            results = await asyncio.gather(*(store.append([an_event(n)]) for n in range(30)))
            assert sum(result.stored for result in results) == 29
            assert (await store.verify()).events == 30

    run(main())


def test_a_caller_that_goes_away_leaves_nothing_behind(admin, dsn):
    async def main():
        async with PostgresStore.connect(dsn, max_connections=1) as store:
            await store.append([an_event(0)])
            async with held_logs(admin) as other:
                waiting = asyncio.ensure_future(store.append([an_event(1)]))
                await somebody_waits(other)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                # The one connection is free again, although the server still works for the one who left.
                assert (await store.search(AuditQuery(OTHER_TENANT))).events == ()
            assert await store.count() == 1
            assert await store.append([an_event(0), an_event(1)]) == (1, 1, 0, 0)

    run(main())


@pytest.mark.parametrize("refused", [False, True])
def test_callers_that_go_away_at_any_step_leave_the_store_as_it_should_be(dsn, refused):
    # What is refused is rolled back and searched for, which has steps of its own.
    fields = {"resource_type": "".join(map(chr, range(0x4E00, 0x5E00)))} if refused else {}
    batch = [an_event(1), an_event(0), an_event(2).model_copy(update=fields)]

    async def main():
        async with PostgresStore.connect(dsn, max_connections=2) as store:
            await store.append([an_event(0)])
            finished, steps = False, 0
            while not finished:
                task = asyncio.ensure_future(store.append(batch))
                for _ in range(steps):
                    # One turn of the loop, and not some time.
                    await asyncio.sleep(0)
                finished = task.done()
                task.cancel()
                await asyncio.wait([task], timeout=5)
                assert task.done()
                assert (await store.search(AuditQuery(OTHER_TENANT))).events == ()
                steps += steps // 3 + 1
            assert steps > 50
            assert isinstance(task.exception(), SinkRejected) is refused
            assert await store.append(batch[:2]) == ((1, 1, 0, 0) if refused else (0, 2, 0, 0))
            report = await store.verify()
            assert (report.verified, report.events) == (True, 2 if refused else 3)

    run(main())


def test_a_server_that_ends_every_connection_is_asked_anew(admin, dsn):
    async def main():
        async with PostgresStore.connect(dsn, max_connections=2) as store:
            await store.append([an_event(0)])
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tenaudit'"
            await execute(admin, ended)
            # Each connection may fail the one that finds it ended, and no more.
            done = [await asyncio.gather(store.append([an_event(1)]), return_exceptions=True) for _ in range(3)]
            assert {type(one[0]) for one in done[:-1]} <= {StoreError, AppendResult}
            assert type(done[-1][0]) is AppendResult
            assert await store.count() == 2

    run(main())


def test_a_closed_store_says_so_and_what_waits_for_a_part_of_a_read_ends(dsn):
    async def main():
        store = await PostgresStore.connect(dsn)
        await store.close()
        await store.close()
        for call in (store.append([an_event(0)]), store.search(AuditQuery(TENANT)), store.verify()):
            with pytest.raises(StoreError, match="is closed"):
                await call

    run(main())


def test_a_verification_longer_than_the_deadline_has_it_for_each_part(dsn):
    async def main():
        async with PostgresStore.connect(dsn, deadline=10) as store:
            await store.append([an_event(n) for n in range(6000)])
        async with proxied(dsn) as (proxy, there), PostgresStore.connect(there, deadline=2) as store:
            loop = asyncio.get_running_loop()
            await store.tenants()
            proxy.delay(0.04)
            began = loop.time()
            report = await store.verify(TENANT)
            assert loop.time() - began > 2
            assert (report.verified, report.events) == (True, 6000)

    run(main())


def test_a_verification_whose_caller_goes_away_ends(dsn):
    async def main():
        async with PostgresStore.connect(dsn, deadline=10) as store:
            await store.append([an_event(n) for n in range(3500)])
        async with proxied(dsn) as (proxy, there), PostgresStore.connect(there, max_connections=1) as store:
            await store.tenants()
            proxy.delay(0.02)
            for steps in (1, 5, 20, 60):
                task = asyncio.ensure_future(store.verify(TENANT))
                # It asks the proxy for more and more pages; how far it came does not matter.
                await asyncio.wait([task], timeout=0.004 * steps)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await store.newest_position(TENANT) == 3500
        # asyncio.run waits for the threads.

    run(main())


def test_callers_that_go_away_wait_for_no_server_that_hangs(dsn):
    async def main():
        async with (
            proxied(dsn) as (proxy, there),
            PostgresStore.connect(there, deadline=20, max_connections=2) as store,
        ):
            await store.append([an_event(0)])
            proxy.half_open()
            waiting = [asyncio.ensure_future(store.append([an_event(1)])) for _ in range(6)]
            await asyncio.wait(waiting, timeout=0.2)
            for one in waiting:
                one.cancel()
            _, stuck = await asyncio.wait(waiting, timeout=5)
            assert not stuck
            proxy.heal()
            done = await asyncio.gather(*(store.append([an_event(1)]) for _ in range(6)))
            assert sum(result.stored for result in done) == 1

    run(main())
