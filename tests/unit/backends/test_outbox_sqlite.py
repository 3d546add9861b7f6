"""The outbox in SQLite: both or neither, one relay at a time, dead letters, a file that is another's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import EmitRejected, SinkRejected
from tenaudit.audit.outbox import Backlog, LeaseLost, OutboxError, OutboxRelay, OutboxUnavailable
from tenaudit.backends.sqlite.outbox import SqliteOutbox, create_outbox
from tenaudit.backends.sqlite.outbox_relay import SqliteOutboxSource
from tenaudit.errors import ConfigurationError
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.scripted_sink import ScriptedSink
from tests.unit.backends.outbox_parts import context_of, run

ONE = context_of(1)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "app ü.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        create_outbox(connection)
        create_outbox(connection)
    return path


def an_outbox(clock=None):
    return SqliteOutbox("orders", registry=CollectorRegistry(), clock=clock)


def emitted(path, *numbers, clock=None, **fields):
    outbox = an_outbox(clock)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        results = [
            outbox.emit_nowait(connection, "order.created", payload={"n": n, **fields}, context=ONE) for n in numbers
        ]
        connection.execute("COMMIT")
    return [result.event_id for result in results]


def rows(path, statement):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def drained(path, sink, **options):
    async def main():
        source = SqliteOutboxSource(path, **options)
        try:
            return await OutboxRelay(source, sink, registry=CollectorRegistry()).drain()
        finally:
            await source.close()

    return run(main())


def numbers(sink):
    return [event.payload["n"] for event in sink.events]


def test_an_event_is_committed_or_rolled_back_with_the_change(path):
    outbox, sink = an_outbox(), ScriptedSink()

    def failing(connection):
        with connection:
            connection.execute("INSERT INTO orders VALUES ('o-2')")
            outbox.emit_nowait(connection, "order.created", payload={"n": 2}, context=ONE)
            raise ZeroDivisionError

    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id TEXT)")
        with connection:
            connection.execute("INSERT INTO orders VALUES ('o-1')")
            kept = outbox.emit_nowait(connection, "order.created", payload={"n": 1}, context=ONE)
        with pytest.raises(ZeroDivisionError):
            failing(connection)
        assert connection.execute("SELECT id FROM orders").fetchall() == [("o-1",)]
    assert drained(path, sink) == 1
    assert [event.event_id for event in sink.events] == [kept.event_id]
    assert rows(path, "SELECT count(*) FROM tenaudit_outbox") == [(0,)]


def test_without_a_transaction_nothing_is_written(path):
    connection = sqlite3.connect(path)
    with pytest.raises(OutboxError) as caught:
        an_outbox().emit_nowait(connection, "order.created", context=ONE)
    assert caught.value.code == "no_transaction"
    assert not connection.in_transaction
    connection.close()
    with pytest.raises(OutboxError):
        an_outbox().emit_nowait(connection, "order.created", context=ONE)
    assert rows(path, "SELECT count(*) FROM tenaudit_outbox") == [(0,)]


def test_a_refused_event_leaves_the_transaction_as_it_was(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        with pytest.raises(EmitRejected) as caught:
            an_outbox().emit_nowait(connection, "order.created", payload={"n": 2**53}, context=ONE)
        assert caught.value.reason == "integer_out_of_range"
        assert connection.in_transaction
        connection.execute("COMMIT")
    assert rows(path, "SELECT count(*) FROM tenaudit_outbox") == [(0,)]


def test_failures_of_sqlite_are_coded(tmp_path, path):
    with closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as connection:
        connection.execute("BEGIN")
        with pytest.raises(OutboxError) as caught:
            an_outbox().emit_nowait(connection, "order.created", context=ONE)
        assert caught.value.code == "outbox_missing"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as holder,
        closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection,
    ):
        holder.execute("BEGIN IMMEDIATE")
        connection.execute("BEGIN")
        with pytest.raises(OutboxError, match="locked") as caught:
            an_outbox().emit_nowait(connection, "order.created", context=ONE)
        assert caught.value.code == "write_failed"
        connection.execute("ROLLBACK")
        with pytest.raises(OutboxError, match="closed"):
            create_outbox(closed())


def closed():
    connection = sqlite3.connect(":memory:")
    connection.close()
    return connection


def test_the_relay_delivers_in_order_and_in_bounded_batches(path):
    emitted(path, *range(30), x="y" * 1000)
    sink = ScriptedSink()

    async def main():
        source = SqliteOutboxSource(path)
        lease = await source.claim()
        sizes = [len(await source.read(lease, *bounds)) for bounds in ((4, 10**6), (10, 3000), (10, 1))]
        await source.release(lease)
        await OutboxRelay(source, sink, batch_size=7, registry=CollectorRegistry()).drain()
        await source.close()
        return sizes

    assert run(main()) == [4, 3, 1]
    assert numbers(sink) == list(range(30))


def test_one_relay_works_at_a_time_and_another_takes_over_when_the_lease_has_run_out(path, clock):
    emitted(path, 1, 2, clock=clock)

    async def main():
        old, new = (SqliteOutboxSource(path, lease=10.0, clock=clock) for _ in range(2))
        lost = await old.claim()
        taken = await old.read(lost, 10, 10**6)
        assert await new.claim() is None
        clock.advance(9.0)
        await old.settle(lost, [taken[0].position], {})
        clock.advance(9.0)
        assert await new.claim() is None
        clock.advance(1.0)
        held = await new.claim()
        assert held.epoch > lost.epoch
        for delivered, dead in (([taken[1].position], {}), ([], {taken[1].position: "no"})):
            with pytest.raises(LeaseLost):
                await old.settle(lost, delivered, dead)
        assert await old.read(lost, 10, 10**6) == []
        await old.release(lost)
        assert await old.claim() is None
        assert [entry.position for entry in await new.read(held, 10, 10**6)] == [taken[1].position]
        await new.release(held)
        assert (await old.claim()).epoch > held.epoch
        await old.close()
        await new.close()

    run(main())


def test_a_lease_that_ran_out_but_that_nobody_took_still_settles(path, clock):
    emitted(path, 1, clock=clock)

    async def main():
        source = SqliteOutboxSource(path, lease=10.0, clock=clock)
        lease = await source.claim()
        (taken,) = await source.read(lease, 10, 10**6)
        clock.advance(100.0)
        await source.settle(lease, [taken.position], {})
        assert await source.backlog() == Backlog(0, 0.0)
        await source.close()

    run(main())


def test_what_the_sink_refuses_goes_to_the_dead_letters_with_its_reason(path):
    ids = emitted(path, 1, 2, 3)
    sink = ScriptedSink()

    async def write(batch):
        if wrong := [event.event_id for event in batch if event.payload["n"] == 2]:
            raise SinkRejected(wrong, "odd\ud800" + "x" * 1000)
        sink.events += batch

    sink.write = write
    drained(path, sink)
    assert numbers(sink) == [1, 3]
    ((event_id, tenant_id, reason),) = rows(path, "SELECT event_id, tenant_id, reason FROM tenaudit_outbox_dead")
    assert (UUID(event_id), UUID(tenant_id)) == (ids[1], ONE.tenant_id)
    assert reason.startswith("odd?x")
    assert len(reason) == 200


@pytest.mark.parametrize("text", ["'{'", "CAST(x'ff' AS TEXT)"])
def test_a_row_that_is_no_event_holds_nobody_up(path, text):
    emitted(path, 1, 2)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE tenaudit_outbox SET event = {text}, event_id = 'x' WHERE id = 1")
    sink = ScriptedSink()
    assert drained(path, sink) == 2
    assert numbers(sink) == [2]
    assert rows(path, "SELECT reason FROM tenaudit_outbox_dead") == [("unreadable",)]


def test_the_backlog_is_counted_and_dated(path, clock):
    emitted(path, 1, clock=clock)
    clock.advance(40.0)
    emitted(path, 2, clock=clock)

    async def main():
        source = SqliteOutboxSource(path, clock=clock)
        assert await source.backlog() == Backlog(2, 40.0)
        clock.jump_wall(-3600)
        assert await source.backlog() == Backlog(2, 0.0)
        await source.close()

    run(main())


def test_a_file_that_is_not_there_is_made_only_when_asked(tmp_path):
    path = tmp_path / "new.db"

    async def main(create):
        source = SqliteOutboxSource(path, create=create)
        try:
            return await source.claim()
        finally:
            await source.close()

    with pytest.raises(OutboxUnavailable, match=r"new\.db"):
        run(main(create=False))
    assert not path.exists()
    assert run(main(create=True)) is None
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_file_without_the_tables_or_of_another_kind_is_unavailable(tmp_path):
    (tmp_path / "text.db").write_text("no database, but long enough to be looked at as one" * 10)
    sqlite3.connect(tmp_path / "empty.db").close()

    async def main(name, create):
        source = SqliteOutboxSource(tmp_path / name, create=create)
        with pytest.raises(OutboxUnavailable, match=name):
            await source.claim()
        await source.close()

    run(main("text.db", create=True))
    run(main("empty.db", create=False))


def test_a_writer_that_holds_the_file_is_waited_for_up_to_the_deadline(path):
    emitted(path, 1)

    async def main():
        source = SqliteOutboxSource(path, deadline=0.05)
        with closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            with pytest.raises(OutboxUnavailable, match="locked"):
                await source.claim()
            holder.execute("ROLLBACK")
        assert await source.claim() is not None
        await source.close()

    run(main())


def test_a_transaction_that_cannot_be_committed_is_rolled_back(path):
    emitted(path, 1)
    sink = ScriptedSink()

    async def main():
        source = SqliteOutboxSource(path, deadline=0.05)
        lease = await source.claim()
        (taken,) = await source.read(lease, 1, 10**6)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            # In the default journal mode a reader keeps a writer from committing.
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM tenaudit_outbox").fetchone()
            with pytest.raises(OutboxUnavailable, match="locked"):
                await source.settle(lease, [taken.position], {})
            reader.execute("COMMIT")
        await source.release(lease)
        await OutboxRelay(source, sink, registry=CollectorRegistry()).drain()
        await source.close()

    run(main())
    assert numbers(sink) == [1]


def test_closing_twice_is_once_and_a_closed_one_says_so(path):
    async def main():
        source = SqliteOutboxSource(path)
        await source.close()
        await source.close()
        with pytest.raises(OutboxUnavailable, match="closed"):
            await source.claim()

    run(main())


@pytest.mark.parametrize("options", [{"lease": 0.0}, {"deadline": float("inf")}])
def test_settings_without_sense_are_refused_by_name(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        SqliteOutboxSource("app.db", **options)
