"""`kill -9` of the relay's process, again and again: all that was committed arrives, nothing else, in order."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from tenaudit.backends.postgres.outbox import PostgresOutbox
from tenaudit.backends.sqlite.outbox import SqliteOutbox, create_outbox
from tests.unit.backends.outbox_parts import context_of, own_schema

KILLS = 6
WITHIN = 90.0
TENANTS = 3
# Whoever writes without a pause keeps others from a SQLite file.
BACKLOG = 50


class InSqlite:
    def __init__(self, path):
        self.url = f"sqlite:///{path}"
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        create_outbox(self.connection)
        self.outbox = SqliteOutbox("orders", registry=CollectorRegistry())

    def transaction(self, tenant, numbers, committed):
        self.connection.execute("BEGIN IMMEDIATE")
        for n in numbers:
            self.outbox.emit_nowait(self.connection, "order.created", payload={"n": n}, context=context_of(tenant))
        self.connection.execute("COMMIT" if committed else "ROLLBACK")

    def expire(self):
        self.connection.execute("UPDATE tenaudit_outbox_lease SET claimed_until = 0")

    def waiting(self):
        return self.connection.execute("SELECT count(*) FROM tenaudit_outbox").fetchone()[0]

    def close(self):
        self.connection.close()


class InPostgres:
    def __init__(self, dsn):
        self.url = dsn
        self.runner = asyncio.Runner()
        self.connection = self.runner.run(asyncpg.connect(dsn, timeout=20, command_timeout=20))
        self.outbox = PostgresOutbox("orders", registry=CollectorRegistry())

    def transaction(self, tenant, numbers, committed):
        async def work():
            transaction = self.connection.transaction()
            await transaction.start()
            for n in numbers:
                await self.outbox.emit(self.connection, "order.created", payload={"n": n}, context=context_of(tenant))
            await (transaction.commit() if committed else transaction.rollback())

        self.runner.run(work())

    def expire(self):
        self.runner.run(self.connection.execute("UPDATE tenaudit_outbox_shards SET claimed_until = '-infinity'"))

    def waiting(self):
        return self.runner.run(self.connection.fetchval("SELECT count(*) FROM tenaudit_outbox"))

    def close(self):
        self.runner.run(self.connection.close(timeout=20))
        self.runner.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def database(request, tmp_path):
    if request.param == "sqlite":
        with closing(InSqlite(tmp_path / "app.db")) as database:
            yield database
    else:
        with own_schema(request.getfixturevalue("postgres_service")) as dsn, closing(InPostgres(dsn)) as database:
            yield database


@contextmanager
def relaying(url, out):
    argv = [sys.executable, "-m", "tenaudit.cli", "relay", "--outbox", url, "--sink", f"jsonl:///{out}"]
    with subprocess.Popen([*argv, "--batch-size", "3"], stdout=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(WITHIN, process.kill)
        watchdog.start()
        try:
            assert process.stdout.readline().startswith("relaying")
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def size(path):
    return path.stat().st_size if path.exists() else 0


class Application:
    """Commits and rolls back, and knows what it committed of each tenant."""

    def __init__(self, database):
        self.database = database
        self.chance = random.Random(4)
        self.committed = {tenant: [] for tenant in range(1, TENANTS + 1)}
        self.last = 0
        self.until = time.monotonic() + WITHIN

    def waiting(self):
        """Return how many events wait; a few more when they are few."""
        assert time.monotonic() < self.until
        now = self.database.waiting()
        if now < BACKLOG:
            tenant, kept, count = self.chance.randint(1, TENANTS), self.chance.random() < 0.8, self.chance.randint(1, 4)
            numbers = list(range(self.last + 1, self.last + count + 1))
            self.last += count
            self.database.transaction(tenant, numbers, kept)
            self.committed[tenant] += numbers if kept else []
        return now

    def until_written(self, out):
        goal = size(out) + self.chance.randint(1, 10_000)
        while size(out) < goal:
            self.waiting()

    def until_deleted(self):
        before = 0
        while (now := self.waiting()) >= before:
            before = now


def arrivals(out):
    arrived = {tenant: {} for tenant in range(1, TENANTS + 1)}
    for line in out.read_text().splitlines():
        event = json.loads(line)
        arrived[int(event["tenant_id"].rpartition("-")[2], 16)][event["payload"]["n"]] = None
    return {tenant: list(numbers) for tenant, numbers in arrived.items()}


def test_a_relay_that_is_killed_again_and_again_loses_nothing(database, tmp_path):
    application, out = Application(database), tmp_path / "out.jsonl"
    for number in range(KILLS):
        with relaying(database.url, out) as process:
            application.until_written(out)
            if number % 2:
                # Every other time when something has just been deleted instead of just been written.
                application.until_deleted()
            process.kill()
        # What a killed relay held is free once its lease has run out.
        database.expire()
    with relaying(database.url, out) as process:
        while database.waiting():
            assert time.monotonic() < application.until
        process.terminate()
        assert process.wait(WITHIN) == 0
    assert arrivals(out) == application.committed
