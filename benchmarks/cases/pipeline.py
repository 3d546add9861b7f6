"""How long after its emit an event can be queried, at 5 000 events a second through Kafka and PostgreSQL.

A producer and a consumer, each a process of its own with its default bounds, a broker and a server beside them on the
same cores, 20 tenants, for 20 seconds (half a second in a tiny run). A third process asks the store again and again
for what is new of one tenant, a twentieth of all, and takes the time that lies between the `occurred_at` that an event
was given by `emit` and the answer that holds it first. Where the producer had to drop events there is no result.

There is no peer: CloudTrail says about five minutes, and Tessera, a log with a tree, says 3.1 s on average until an
entry is integrated.
Not shown: a network, replicas, a disk that is waited for (the server's fsync is off), and a consumer that has fallen
behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from benchmarks.audit_database import audit_database
from benchmarks.audit_events import TENANTS, tenant
from benchmarks.result import AtMost, compare
from tenaudit.testing.services import kafka

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.result import Result
    from benchmarks.rounds import Plan
    from tenaudit.backends.postgres import PostgresStore

__all__ = ["run"]

_RATE = 5_000
_POLL = 0.02
_PAGE = 1_000
_WITHIN = 120.0


def run(plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
    """Yield the median and the 99th percentile."""
    seconds = plan.seconds * 1000
    with ExitStack() as stack:
        # What starts a broker takes longer than all of a tiny run.
        broker = stack.enter_context(kafka("auto" if seconds >= 1 else "mock"))
        database = stack.enter_context(audit_database())
        if broker.kind == "mock" and seconds >= 1:
            note(f"the broker is a mock: {broker.note}")
        env = os.environ | {
            "BENCH_KAFKA": broker.bootstrap_servers,
            "BENCH_TOPIC": f"bench-{uuid.uuid4().hex}",
            "BENCH_STORE": database.user,
        }
        producer = stack.enter_context(_process(env, "produce", str(_RATE), str(seconds)))
        assert producer.stdout is not None
        # A topic that is not there yet is looked for again only after minutes.
        producer.stdout.readline()
        stack.enter_context(_process(env, "consume"))
        waits, told = asyncio.run(_observed(producer, database.user, seconds))
    note(f"{told['delivered']:.0f} events at {told['delivered'] / told['seconds']:.0f} a second, each of them stored")
    if told["dropped"]:
        # The producer counts what it could not deliver in time; the figure would be of another rate.
        note(f"no result: this machine is too busy for the rate, {told['dropped']:.0f} events were dropped")
        return
    cuts = statistics.quantiles(waits, n=100, method="inclusive")
    for name, wait, most in (("p50", cuts[49], None), ("p99", cuts[98], 2_000)):
        targets = [] if most is None else [AtMost(most)]
        yield compare(f"pipeline/{name}", {"ours": [wait]}, unit="ms", scale=1e3, targets=targets)


@contextmanager
def _process(env: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.pipeline_side", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


async def _observed(producer: subprocess.Popen[str], dsn: str, seconds: float) -> tuple[list[float], dict[str, float]]:
    """Return the seconds from emit to the first answer, of each event of one tenant, and what the producer told."""
    from tenaudit.backends.postgres import PostgresStore

    assert producer.stdin is not None
    assert producer.stdout is not None
    async with PostgresStore.connect(dsn, deadline=30.0) as store, asyncio.timeout(seconds + _WITHIN):
        await _stored(store, TENANTS)
        everything = asyncio.Event()
        seeing = asyncio.create_task(_seen(store, everything))
        producer.stdin.write("go\n")
        producer.stdin.flush()
        told = json.loads(await asyncio.to_thread(producer.stdout.readline))
        await _stored(store, told["delivered"])
        everything.set()
        return await seeing, told


async def _stored(store: PostgresStore, expected: int) -> None:
    """Return once there are as many events as that."""
    while await store.count() < expected:  # noqa: ASYNC110 - another process puts them there
        await asyncio.sleep(_POLL)


async def _seen(store: PostgresStore, everything: asyncio.Event) -> list[float]:
    waits: list[float] = []
    after = 1  # behind the event that told that all is ready
    while True:
        last = everything.is_set()
        found = await store.follow(tenant(0), after, _PAGE)
        now = time.time()
        waits += (now - event.occurred_at.timestamp() for _, event in found)
        if last and not found:
            return waits
        after = found[-1][0] if found else after
        await asyncio.sleep(_POLL)
