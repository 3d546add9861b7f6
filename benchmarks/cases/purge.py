"""What it costs to remove a month of 100 000 events: by its partition, and row by row.

Ours: `PostgresStore.purge`, which looks the month through, drops its partition and writes the record of it, all checks
    of holds and places in the log included.
rows: the same purge of the one tenant, which deletes in transactions of 2000 events with a record each.
DELETE: one statement of a superuser, whom row level security does not hold, with nothing that proves anything.

A tiny run has 2500 events.
Not shown: the vacuum that deleted rows leave to be done and a dropped table does not, archives, writers meanwhile.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.audit_database import audit_database, execute
from benchmarks.audit_rows import ROWS_TENANT, filled
from benchmarks.result import TimesBetter, compare
from benchmarks.rounds import Contender, Plan, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any
    from uuid import UUID

    from benchmarks.audit_database import AuditDatabase
    from benchmarks.result import Result

__all__ = ["run"]

_ROWS_A_SECOND = 5_000_000
_HASH_BYTES = 32


def run(plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
    """Yield one result: the partition against both ways by rows."""
    rows = round(plan.seconds * _ROWS_A_SECOND)
    note(f"{rows} rows")
    with ExitStack() as stack:
        database = stack.enter_context(audit_database())
        runner = stack.enter_context(asyncio.Runner())
        contenders = _contenders(stack, runner, database, rows)
        runner.run(_made_old(database, rows))
        samples = measure(contenders, replace(plan, seconds=0))
    yield compare("purge", samples, unit="ms", scale=1e3, targets=[TimesBetter(5, "rows")])


def _contenders(stack: ExitStack, runner: asyncio.Runner, database: AuditDatabase, rows: int) -> list[Contender]:
    from tenaudit.backends.postgres import PostgresStore

    runner.run(execute(database.owner, f"GRANT tenaudit_purger TO {urlsplit(database.user).username}"))
    store = PostgresStore.connect(database.user)
    stack.callback(lambda: runner.run(store.close()))

    async def purged(tenant: UUID | None, partitions: int) -> None:
        report = await store.purge(tenant)
        if (report.rows, len(report.partitions)) != (rows, partitions):
            raise RuntimeError("the purge did not take what it should")

    async def deleted() -> None:
        await execute(database.owner, "DELETE FROM tenaudit.events WHERE occurred_at < now() - interval '30 days'")

    def side(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> Contender:
        return Contender(
            name,
            lambda count: [runner.run(work()) for _ in range(count)],
            settle=lambda: runner.run(_made_old(database, rows)),
            most=1,
        )

    return [
        side("ours", lambda: purged(None, 1)),
        side("rows", lambda: purged(ROWS_TENANT, 0)),
        side("DELETE", deleted),
    ]


async def _made_old(database: AuditDatabase, rows: int) -> None:
    """Put events of one month, their leaves and the head of their log where all others were."""
    # As many hashes as the size has bits that are set; what they are is nothing to a purge.
    frontier = bytes(_HASH_BYTES * rows.bit_count()).hex()
    # Other partitions that are old and empty would be dropped too.
    await execute(
        database.owner,
        "TRUNCATE tenaudit.events, tenaudit.leaves, tenaudit.checkpoints, tenaudit.retention_records, tenaudit.logs",
    )
    await filled(database.owner, rows)
    await execute(
        database.owner,
        "INSERT INTO tenaudit.leaves SELECT tenant_id, log_index, event_id, sha256('x') FROM tenaudit.events",
        f"UPDATE tenaudit.logs SET frontier = '\\x{frontier}'",
        "ANALYZE tenaudit.leaves",
    )
