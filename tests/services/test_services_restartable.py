"""Servers that are killed and started again: nobody of them is left, and what they acknowledged is there."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tenaudit.testing.services import Restartable, ServiceUnavailable, restartable_kraft, restartable_postgres
from tenaudit.testing.services.port import accepts, first_outgoing, kept_port
from tenaudit.testing.services.process import Program, running, wait_ready
from tenaudit.testing.services.process_tree import descendants, halt, kill_all, wait_until_gone
from tests.faults.servers import or_skipped

WITHIN = 20.0
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")

APART = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        print("up", flush=True)
time.sleep(60)
"""


def python(folder, source, **options):
    return Program((sys.executable, "-c", source), folder, folder / "log", **options)


@linux
def test_a_kill_reaches_children_that_have_left_the_group(tmp_path):
    with running(python(tmp_path, APART)) as child:
        wait_ready(child, lambda: child.log_tail() or None, within=WITHIN)
        below = descendants(child.pid)
        assert len(below) == 2
        child.kill()
        assert child.wait(0) == -signal.SIGKILL
        assert descendants(child.pid) == []
        assert wait_until_gone(below, 0)
        child.kill()


@linux
def test_a_process_that_goes_on_is_told_of_in_time(tmp_path):
    with running(python(tmp_path, "print('up', flush=True); import time; time.sleep(60)", stop_within=0.2)) as child:
        wait_ready(child, lambda: child.log_tail() or None, within=WITHIN)
        assert not wait_until_gone([child.pid], 0)
        assert halt(child.pid, WITHIN)
        child.kill()
    assert halt(child.pid, 0)
    kill_all([child.pid])


@pytest.mark.parametrize(
    ("said", "first"), [("32768\t60999\n", 32_768), ("1024 65535", 65_536), ("none", 32_768), ("", 32_768)]
)
def test_where_outgoing_ports_begin(tmp_path, said, first):
    (tmp_path / "range").write_text(said)
    assert first_outgoing(tmp_path / "range") == first
    assert first_outgoing(tmp_path / "nowhere") == 32_768


def test_a_port_that_is_kept_is_none_that_connections_are_given():
    assert all(10_000 <= kept_port() < first_outgoing() for _ in range(50))


def on(dsn, *statements):
    async def work():
        connection = await asyncpg.connect(dsn, timeout=WITHIN, command_timeout=WITHIN)
        try:
            return [await connection.fetch(statement) for statement in statements][-1]
        finally:
            await connection.close(timeout=WITHIN)

    return asyncio.run(work())


@pytest.fixture(scope="module")
def database():
    with or_skipped(restartable_postgres()) as server:
        yield server


@pytest.mark.services
def test_postgresql_keeps_through_kills_what_it_committed(database):
    dsn = database.service.dsn
    (row,) = on(dsn, "CREATE TABLE kept (n int)", "SELECT current_setting('data_directory')")
    with pytest.raises(ServiceUnavailable, match="runs already"):
        database.start()
    for n in range(3):
        # The kill follows the commit at once: WAL that was to be written later would be lost.
        on(dsn, f"INSERT INTO kept VALUES ({n})")
        database.kill()
        assert not accepts(urlsplit(dsn).port)
        database.start()
        assert database.service.dsn == dsn
    assert [tuple(row) for row in on(dsn, "SELECT n FROM kept ORDER BY n")] == [(0,), (1,), (2,)]
    assert on(dsn, "SELECT current_setting('data_directory')") == [row]


@linux
@pytest.mark.services
def test_no_backend_outlives_the_kill(database):
    async def held():
        connection = await asyncpg.connect(database.service.dsn, timeout=WITHIN)
        pid = await connection.fetchval("SELECT pg_backend_pid()", timeout=WITHIN)
        busy = asyncio.ensure_future(connection.execute("SELECT count(*) FROM generate_series(1, 1e12)"))
        os.kill(pid, 0)
        # A busy one would not see for long that the server is gone.
        await asyncio.to_thread(database.kill)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await asyncio.wait_for(busy, WITHIN)
        return pid

    assert wait_until_gone([asyncio.run(held())], 0)
    database.start()


def test_what_was_never_ready_says_so(tmp_path):
    def never(child):
        return wait_ready(child, lambda: None, within=0.1)

    server = Restartable(python(tmp_path, "import time; time.sleep(60)"), never)
    try:
        with pytest.raises(ServiceUnavailable, match="never ready"):
            _ = server.service
        with pytest.raises(ServiceUnavailable, match="not ready within"):
            server.wait()
    finally:
        server.stop()


@pytest.mark.faults
@pytest.mark.services
@pytest.mark.timeout(420)
def test_kafka_keeps_through_a_kill_what_it_acknowledged():
    topic = f"kept-{uuid.uuid4().hex}"

    async def put(value):
        async with AIOKafkaProducer(bootstrap_servers=servers, acks="all") as producer:
            await producer.send_and_wait(topic, value)

    async def found(count):
        async with AIOKafkaConsumer(topic, bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
            return [(await consumer.getone()).value for _ in range(count)]

    async def both():
        async with asyncio.timeout(60):
            await put(b"after")
            return await found(2)

    with or_skipped(restartable_kraft()) as server:
        servers = server.service.bootstrap_servers
        asyncio.run(asyncio.wait_for(put(b"before"), WITHIN))
        server.kill()
        assert not accepts(int(servers.rpartition(":")[2]))
        server.start()
        assert server.service.bootstrap_servers == servers
        assert asyncio.run(both()) == [b"before", b"after"]
