"""The whole pipeline, every part of it in a process of its own, and what of it came out in the end."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import contextmanager

from tenaudit.backends.postgres.outbox import create_outbox
from tests.faults.lives import ROOT, Member, until
from tests.unit.backends.kafka_parts import committed, ends_of, new_topic
from tests.unit.backends.kafka_parts import run as on_kafka
from tests.unit.backends.outbox_parts import connected
from tests.unit.backends.postgres_databases import execute, migrated, user

PRODUCERS = 3
LEASE = "4"
SESSION = "2"


class Pipeline:
    """Producers and an outbox, a relay, a topic, a consumer and a store.

    Args:
        dsn: the database of the business, of the outbox and of the store, as its owner.
        store: the same for the consumer, which may do less.
        broker, topic: what lies between.
        folder: where spools and dead letters are.
    """

    def __init__(self, dsn, store, broker, topic, folder):
        self.dsn, self.store, self._broker, self._topic = dsn, store, broker, topic
        self._runner = asyncio.Runner()
        servers = broker.service.bootstrap_servers

        def member(kind, *words, **env):
            return Member(kind, [sys.executable, *words], {**os.environ, **env})

        def writer(*words):
            return member("producer", "-m", "tests.faults.pipeline_writer", *words)

        def cli(kind, *words, **env):
            return member(kind, "-m", "tenaudit.cli", *words, **env)

        names = [f"writer-{number}" for number in range(PRODUCERS)]
        self.producers = [writer("producer", servers, topic, str(folder / name), name) for name in names]
        self.outbox = writer("outbox", dsn, "outbox")
        self.writers = [*self.producers, self.outbox]
        sink = f"kafka://{servers}/{topic}"
        self.relay = cli("relay", "relay", "--sink", sink, "--lease", LEASE, TENAUDIT_OUTBOX=dsn)
        words = ("--kafka", servers, "--topic", topic, "--group", topic, "--session-timeout", SESSION)
        self._spools = [word for name in names for word in ("--spool", str(folder / name))]
        self._letters = letters = ("--dead-letters", f"sqlite:///{folder / 'dead.db'}")
        self.consumer = cli("consumer", "consume", *words, *letters, TENAUDIT_STORE=store)
        self.members = [*self.writers, self.relay, self.consumer]

    def ask(self, statement, *values):
        """Return the rows of a statement, as the owner of everything."""

        async def work():
            async with connected(self.dsn) as connection:
                return await connection.fetch(statement, *values)

        return self._runner.run(asyncio.wait_for(work(), 60))

    def check(self):
        """Fail when a process ended by itself: none of them may, whatever becomes of the others."""
        for member in self.members:
            member.now.check()

    def until_up(self):
        """Wait until each process has said something."""
        for member in self.members:
            member.now.until_up()

    def until_fresh(self, within=60.0):
        """Wait until an event that each writer emits from now on is in the store; return how long that took."""
        waiting = {writer: len(writer.now.lines) for writer in self.writers}

        def found():
            self.check()
            of = {token: writer for writer, mark in waiting.items() for token in emitted(writer.now.lines[mark:])}
            sql = "SELECT resource_id FROM tenaudit.events WHERE resource_id = ANY($1)"
            for row in self.ask(sql, list(of)):
                waiting.pop(of[row["resource_id"]], None)
            return not waiting

        return until(found, "a fresh event of each writer", within)

    def until_stored(self, tokens, within):
        """Wait until each of these is in the store; return how long that took."""
        sql = "SELECT count(DISTINCT resource_id) FROM tenaudit.events WHERE resource_id = ANY($1)"
        tokens = list(tokens)
        return until(lambda: self.ask(sql, tokens)[0][0] == len(tokens), "storing everything", within)

    def drain(self):
        """Stop the writers, let everything arrive, and stop the rest; each has to end in good order."""
        for writer in self.writers:
            writer.stop()
        until(lambda: not self.ask("SELECT count(*) FROM tenaudit_outbox")[0][0], "relaying what is in the outbox")
        until(lambda: on_kafka(self._offsets()), "consuming what is on the topic")
        self.relay.stop()
        self.consumer.stop()
        assert not self.ask("SELECT * FROM tenaudit_outbox_dead")
        assert not self.ask("SELECT * FROM tenaudit.conflicts")
        assert self.consumer.now.lines[-1].endswith("dead letters 0\n")

    def account(self):
        """Return what `tenaudit audit account` says when everything has drained, by producer."""
        words = ["-m", "tenaudit.cli", "audit", "account", "--json", *self._letters, *self._spools]
        env = {**os.environ, "TENAUDIT_STORE": self.store}
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode in (0, 1), done.stderr
        return {told["producer_id"]: told for told in json.loads(done.stdout)["producers"]}

    async def _offsets(self):
        service = self._broker.service
        return await committed(service, self._topic, self._topic) == await ends_of(service, self._topic)

    def close(self):
        for member in self.members:
            member.abandon()
        self._runner.close()


def emitted(lines):
    """Return the tokens of the events that were emitted in these lines; one that a kill has cut off is none."""
    return [line.split()[1] for line in lines if line.startswith("info ") and line.endswith("\n")]


def announced(lines):
    """Return a producer's id, "" when it was killed before it could say, and its tokens by their numbers."""
    whole = [line.split() for line in lines if line.endswith("\n")]
    name = next((words[1] for words in whole if words[0] == "producer"), "")
    return name, {int(words[2]): words[1] for words in whole if words[0] == "info"}


@contextmanager
def pipeline(database, broker, folder):
    """Start everything, and end it with the block."""
    with migrated(database.service.dsn) as dsn, user(dsn, "tenaudit_writer") as store:
        asyncio.run(prepared(dsn))
        made = Pipeline(dsn, store, broker, on_kafka(new_topic(broker.service, partitions=3)), folder)
        try:
            for member in made.members:
                member.start()
            made.until_up()
            made.until_fresh()
            yield made
        finally:
            made.close()


async def prepared(dsn):
    async with connected(dsn) as connection:
        await create_outbox(connection)
    await execute(dsn, "CREATE TABLE orders (token uuid PRIMARY KEY)")
