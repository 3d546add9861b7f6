"""What one event costs when a whole trail is verified: its row hashed, its place and every root held against it.

Ours: `SqliteStore.verify` and `PostgresStore.verify` over events of 20 tenants with a checkpoint each, one core for the
    Python of it and, with PostgreSQL, the other for the server. 20 us are 50 000 events a second.
sha256: one SHA-256 over the canonical text of each event, which is there already: what no verification can do without.

`verify/million` is one run over a million events in a SQLite file, without a round before; `verify/memory` is what that
run adds to the most memory that the process had had, storing them 10 000 at a time.
Not shown: a disk that has to be read, other work of the database.
"""

from __future__ import annotations

import asyncio
import hashlib
import resource
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.audit_database import audit_database, execute
from benchmarks.audit_events import events
from benchmarks.result import AtMost, compare
from benchmarks.rounds import Contender, measure
from tenaudit.audit.integrity import canonical_json
from tenaudit.backends.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.result import Result
    from benchmarks.rounds import Plan

__all__ = ["run"]

_EVENTS_A_SECOND = 2_500_000
# A million in a run of the usual length, and a few hundred in a tiny one.
_MILLION_A_SQUARE_SECOND = 2.5e9
_AT_ONCE = 10_000


def run(plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
    """Yield a result for each store, and two for one run over a million events."""
    count = max(100, round(plan.seconds * _EVENTS_A_SECOND))
    texts = [canonical_json(event.record()) for event in events(count)]
    sha256 = Contender("sha256", lambda _: [hashlib.sha256(text).digest() for text in texts], most=1)
    for name, opened in (("sqlite", _sqlite), ("postgres", _postgres)):
        with ExitStack() as stack:
            runner = stack.enter_context(asyncio.Runner())
            store, owner = opened(stack, runner)
            runner.run(_filled(store, count))
            if owner:
                # As autovacuum has done by the time that a trail of this size is verified.
                runner.run(execute(owner, "ANALYZE tenaudit.events", "ANALYZE tenaudit.leaves"))
            ours = Contender("ours", lambda _, r=runner, s=store: r.run(_verified(s, count)), most=1)  # type: ignore[misc]
            samples = measure([ours, sha256], plan)
        yield compare(f"verify/{name}", samples, unit="us", scale=1e6 / count, targets=[AtMost(20)])
    yield from _million(max(100, round(plan.seconds**2 * _MILLION_A_SQUARE_SECOND)), plan, note)


def _sqlite(stack: ExitStack, runner: asyncio.Runner) -> tuple[Any, str]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    store = SqliteStore.open(folder / "audit.db")
    stack.callback(lambda: runner.run(store.close()))
    return store, ""


def _postgres(stack: ExitStack, runner: asyncio.Runner) -> tuple[Any, str]:
    from tenaudit.backends.postgres import PostgresStore

    database = stack.enter_context(audit_database())
    store = PostgresStore.connect(database.user, deadline=60.0)
    stack.callback(lambda: runner.run(store.close()))
    return store, database.owner


async def _filled(store: Any, count: int) -> None:
    batch = []
    for event in events(count):
        batch.append(event)
        if len(batch) == _AT_ONCE:
            await store.append(batch)
            batch = []
    if batch:
        await store.append(batch)
    await store.seal()


async def _verified(store: Any, count: int) -> None:
    report = await store.verify()
    if not report.verified or report.events != count:
        raise RuntimeError(f"of {count} events {report.events} were verified: {report.problems[:3]}")


def _million(count: int, plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        store, _ = _sqlite(stack, runner)
        runner.run(_filled(store, count))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = plan.timer()
        runner.run(_verified(store, count))
        taken = plan.timer() - started
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    note(f"{count} events in {taken:.2f} s")
    yield compare("verify/million", {"ours": [taken]}, unit="us", scale=1e6 / count, targets=[AtMost(20)])
    yield compare("verify/memory", {"ours": [float(grown)]}, unit="MiB", scale=1 / 1024, targets=[AtMost(64)])
