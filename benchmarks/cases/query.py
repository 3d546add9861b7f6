"""What one page of 50 events costs in a trail of a million: the first page, one half way, and the last.

Ours: `PostgresStore.search` with a cursor; making the events out of the rows and both cursors of the page is in it. One
    sample is the 95th percentile of 20 pages that one client asks for one after the other, so the median shown is that
    of a percentile.
offset: the same rows by LIMIT and OFFSET under the same row level security, a plain loop with no events made of them,
    and the middle of its pages and not the slowest.

`query/actor` asks for one of 200 people, half way through what he did; `query/flat` holds the last page against the
first. All events are of one tenant; a tiny run has 25 000.
Not shown: other queries at the same time, tables that are larger than memory, a network.
"""

from __future__ import annotations

import asyncio
import statistics
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.audit_database import audit_database, execute
from benchmarks.audit_rows import ROWS_TENANT, event_id, filled
from benchmarks.result import AtMost, TimesBetter, compare
from benchmarks.rounds import Contender, Plan, measure
from tenaudit.audit import AuditQuery
from tenaudit.audit.query import CursorCodec, CursorPoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.audit_database import AuditDatabase
    from benchmarks.result import Result
    from tenaudit.backends.postgres import PostgresStore

__all__ = ["run"]

_ROWS_A_SECOND = 50_000_000
_LIMIT = 50
_PAGES = 20
_OFFSET_PAGE = f"SELECT * FROM tenaudit.events WHERE tenant_id = $1 ORDER BY event_id DESC LIMIT {_LIMIT + 1} OFFSET $2"


class _Place(NamedTuple):
    name: str
    query: AuditQuery
    skipped: int


def run(plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
    """Yield a result for each depth, one with a filter, and one that holds the last page against the first."""
    rows = max(_PAGES * _LIMIT * 2, round(plan.seconds * _ROWS_A_SECOND))
    with ExitStack() as stack:
        database = stack.enter_context(audit_database())
        runner = stack.enter_context(asyncio.Runner())
        runner.run(filled(database.owner, rows))
        places = runner.run(_places(database.owner, rows))
        note(f"{rows} rows")
        ours = _ours(stack, runner, database, places, plan)
        measure([Contender(side.name, side.run, most=1) for side in ours], replace(plan, seconds=0))
        slow = measure(_offset(stack, runner, database, places), replace(plan, seconds=0))
    # The first ones warmed up.
    found = {side.name: side.percentiles[-plan.rounds :] for side in ours}
    for place in places:
        samples = {"ours": found[place.name]}
        if place.name in slow:
            samples["offset"] = slow[place.name]
        yield compare(f"query/{place.name}", samples, unit="ms", scale=1e3, targets=[AtMost(5)])
    flat = {"ours": found["last"], "first page": found["first"]}
    yield compare("query/flat", flat, unit="ms", scale=1e3, targets=[TimesBetter(1 / 1.2, "first page")])


async def _places(dsn: str, rows: int) -> list[_Place]:
    ((secret,),) = await execute(dsn, "SELECT value FROM tenaudit.meta WHERE name = 'cursor_key'")
    codec = CursorCodec(secret)
    plain = AuditQuery(ROWS_TENANT, limit=_LIMIT)
    depths = {"first": 0, "middle": rows // 2, "last": rows - _LIMIT}
    places = [_Place(name, _at(codec, plain, rows - skipped), skipped) for name, skipped in depths.items()]
    return [*places, _Place("actor", _at(codec, replace(plain, actor="user-1"), rows // 2), 0)]


def _at(codec: CursorCodec, query: AuditQuery, behind: int) -> AuditQuery:
    """Return the query of the page that begins with the newest event older than number *behind*."""
    return query.at(codec.write(query, CursorPoint(event_id(behind), backward=False)))


class _Pages:
    """Pages of one place, one after the other, each timed."""

    def __init__(self, place: _Place, store: PostgresStore, runner: asyncio.Runner, timer: Callable[[], float]) -> None:
        self.name = place.name
        self.percentiles: list[float] = []
        self._place, self._store, self._runner, self._timer = place, store, runner, timer

    def run(self, _count: int) -> None:
        taken = self._runner.run(self._asked())
        self.percentiles.append(statistics.quantiles(taken, n=20, method="inclusive")[18])

    async def _asked(self) -> list[float]:
        taken = []
        for _ in range(_PAGES):
            started = self._timer()
            page = await self._store.search(self._place.query)
            taken.append(self._timer() - started)
            if len(page.events) != _LIMIT:
                raise RuntimeError(f"the page {self._place.name} is not full")
        return taken


def _ours(
    stack: ExitStack, runner: asyncio.Runner, database: AuditDatabase, places: Sequence[_Place], plan: Plan
) -> list[_Pages]:
    from tenaudit.backends.postgres import PostgresStore

    store = PostgresStore.connect(database.user)
    stack.callback(lambda: runner.run(store.close()))
    return [_Pages(place, store, runner, plan.timer) for place in places]


def _offset(
    stack: ExitStack, runner: asyncio.Runner, database: AuditDatabase, places: Sequence[_Place]
) -> list[Contender]:
    import asyncpg

    connection = runner.run(asyncpg.connect(database.user))
    stack.callback(lambda: runner.run(connection.close()))

    async def page(skipped: int) -> None:
        async with connection.transaction(readonly=True):
            await connection.execute("SELECT set_config('tenaudit.tenants', $1, true)", str(ROWS_TENANT))
            found: list[Any] = await connection.fetch(_OFFSET_PAGE, ROWS_TENANT, skipped)
        if len(found) < _LIMIT:
            raise RuntimeError("the page is not full")

    def side(place: _Place) -> Contender:
        return Contender(place.name, lambda count: [runner.run(page(place.skipped)) for _ in range(count)], most=1)

    return [side(place) for place in places if place.query.actor is None]
