"""What sealing and signing cost beside storing: a round of checkpoints for 20 tenants after ten seconds of events.

Ours: `CheckpointKeeper.once` with a file as the record: a checkpoint of every tenant, one signed note, an fsync. A
    round comes every ten seconds; its share of one event is shown, at 500 events a second.
append: `append` of as many events: what the round comes on top of.

Not shown: a log of all logs that is long, which only its first round reads.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from benchmarks.audit_database import audit_database
from benchmarks.audit_events import events
from benchmarks.result import TimesBetter, compare
from benchmarks.rounds import Contender, measure
from tenaudit.audit import CheckpointKeeper
from tenaudit.audit.integrity.note_keys import new_signer_key, signer_from, verifier_from, verifier_key
from tenaudit.backends.checkpoint_file import CheckpointFile
from tenaudit.backends.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.result import Result
    from benchmarks.rounds import Plan
    from tenaudit.audit import AuditEvent

__all__ = ["run"]

_EVENTS_A_SECOND = 250_000


def run(plan: Plan, _note: Callable[[str], None]) -> Iterator[Result]:
    """Yield a result for each store; a round seals 5000 events, and fewer in a tiny run."""
    unit = max(100, round(plan.seconds * _EVENTS_A_SECOND))
    for name, opened in (("sqlite", _sqlite), ("postgres", _postgres)):
        with ExitStack() as stack:
            runner = stack.enter_context(asyncio.Runner())
            coming = events(10**9)
            store = opened(stack, runner)
            samples = measure([_ours(stack, runner, store, coming, unit), _append(runner, store, coming, unit)], plan)
        yield compare(f"seal/{name}", samples, unit="us", scale=1e6 / unit, targets=[TimesBetter(10, "append")])


def _sqlite(stack: ExitStack, runner: asyncio.Runner) -> Any:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    store = SqliteStore.open(folder / "audit.db")
    stack.callback(lambda: runner.run(store.close()))
    return store


def _postgres(stack: ExitStack, runner: asyncio.Runner) -> Any:
    from tenaudit.backends.postgres import PostgresStore

    store = PostgresStore.connect(stack.enter_context(audit_database()).user, deadline=60.0)
    stack.callback(lambda: runner.run(store.close()))
    return store


def _ours(stack: ExitStack, runner: asyncio.Runner, store: Any, coming: Iterator[AuditEvent], unit: int) -> Contender:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    key = new_signer_key("bench.example/audit")
    place = CheckpointFile(folder / "checkpoints.ndjson")
    stack.callback(lambda: runner.run(place.close()))
    keeper = CheckpointKeeper(
        store, signer_from(key), [verifier_from(verifier_key(key))], [place], registry=CollectorRegistry()
    )

    def more() -> None:
        runner.run(store.append(list(islice(coming, unit))))

    def sealed(_count: int) -> None:
        if not runner.run(keeper.once()):
            raise RuntimeError("nothing was sealed")

    more()
    return Contender("ours", sealed, more, most=1)


def _append(runner: asyncio.Runner, store: Any, coming: Iterator[AuditEvent], unit: int) -> Contender:
    batches: list[list[AuditEvent]] = []

    def ready() -> None:
        batches.append(list(islice(coming, unit)))

    ready()
    return Contender("append", lambda _: runner.run(store.append(batches.pop())), ready, most=1)
