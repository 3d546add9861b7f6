"""A process that writes audit events until it is killed, or told to stop, and tells of each what it was told.

    python -m tests.faults.pipeline_writer producer SERVERS TOPIC FOLDER NAME
    python -m tests.faults.pipeline_writer outbox DSN NAME

Each event carries a token of its own as `resource_id`, so that nothing else has to tell which one it was. A line goes
out before the event is emitted, `info TOKEN SEQ`, and one after it was answered, `ok TOKEN` or `fail TOKEN`.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import uuid

import asyncpg

from tenaudit.audit import AuditProducer, DeliveryUnknown, EmitRejected
from tenaudit.audit.outbox import OutboxError
from tenaudit.backends.kafka import KafkaSink
from tenaudit.backends.postgres.outbox import PostgresOutbox
from tenaudit.backends.spool import DiskSpool
from tests.unit.backends.outbox_parts import context_of

TENANTS = 12
WITHIN = 5.0
DRAINED_WITHIN = 90.0
AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OutboxError)


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def anyone():
    return context_of(random.randint(1, TENANTS))


def told_to_stop():
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    return told


class Emitter:
    """Emits through a producer; its own pending tokens are those of which only a flush will tell."""

    def __init__(self, producer):
        self.producer = producer
        self.pending = []

    def about(self):
        """Announce the next event: until the next await nothing else is emitted, so its number is known."""
        token = uuid.uuid4()
        say("info", token, self.producer.stats().emitted)
        return {"resource_type": "token", "resource_id": str(token), "context": anyone()}

    def emit(self):
        words = self.about()
        token = words["resource_id"]
        if self.producer.emit("kill.buffered", **words).status == "accepted":
            self.pending.append(token)
        else:
            say("fail", token)

    async def emit_durable(self):
        words = self.about()
        try:
            await self.producer.emit_durable("kill.durable", **words, deadline=WITHIN)
        except DeliveryUnknown:
            return
        except EmitRejected:
            say("fail", words["resource_id"])
        else:
            say("ok", words["resource_id"])

    async def flush(self):
        pending, self.pending = self.pending, []
        if await self.producer.flush(WITHIN):
            for token in pending:
                say("ok", token)


async def produce(servers, topic, folder, name):
    told, spool = told_to_stop(), DiskSpool(folder)
    sink = KafkaSink(servers, topic, delivery_timeout=2.0)
    waits = {"linger": 0.02, "write_timeout": 2.5, "spool_after": 0.5}
    account = context_of(1).tenant_id
    producer = AuditProducer(sink, service=name, spool=spool, overflow="spool", account_tenant=account, **waits)
    async with producer:
        say("producer", producer.producer_id)
        emitter = Emitter(producer)
        while not told.is_set():
            for _ in range(random.randint(1, 8)):
                emitter.emit()
            await emitter.emit_durable()
            if random.random() < 0.1:
                await emitter.flush()
            await asyncio.sleep(random.uniform(0, 0.1))
        async with asyncio.timeout(DRAINED_WITHIN):
            while spool.stats().records or not await producer.flush(WITHIN):  # noqa: ASYNC110 - nobody tells when
                await asyncio.sleep(0.05)
    say("closed", producer.stats().dropped)


async def order(connection, outbox):
    """Run one transaction of the business: orders and their events, committed or rolled back."""
    tokens = [uuid.uuid4() for _ in range(random.randint(1, 3))]
    kept, ending = random.random() < 0.75, False
    for token in tokens:
        say("info", token)
    transaction = connection.transaction()
    try:
        await transaction.start()
        for token in tokens:
            await connection.execute("INSERT INTO orders VALUES ($1)", token)
            words = {"resource_type": "token", "resource_id": str(token), "context": anyone()}
            await outbox.emit(connection, "kill.atomic", **words)
        ending = kept
        await (transaction.commit() if kept else transaction.rollback())
    except BaseException:
        # Nobody asked for a commit yet: it cannot have happened.
        for token in () if ending else tokens:
            say("fail", token)
        raise
    for token in tokens:
        say("ok" if kept else "fail", token)


async def sell(dsn, name):
    told, outbox = told_to_stop(), PostgresOutbox(name, deadline=WITHIN)
    say("up")
    while not told.is_set():
        try:
            connection = await asyncpg.connect(dsn, timeout=WITHIN, command_timeout=WITHIN)
        except AWAY:
            await asyncio.sleep(0.05)
            continue
        try:
            while not told.is_set():
                await order(connection, outbox)
                await asyncio.sleep(random.uniform(0, 0.04))
        except AWAY:
            continue
        finally:
            connection.terminate()
    say("closed")


if __name__ == "__main__":
    kind, *words = sys.argv[1:]
    asyncio.run({"producer": produce, "outbox": sell}[kind](*words))
