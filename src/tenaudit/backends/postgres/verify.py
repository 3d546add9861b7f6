"""Checking everything again: every leaf, row, checkpoint and kept conflict of a tenant, from one snapshot.

The check is plain code that walks rows, so it runs in a thread, which asks the event loop for a page of rows at a time:
memory holds a page, however long the log, and the loop goes on meanwhile.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from uuid import UUID

from tenaudit.audit import Problem, VerifyReport
from tenaudit.audit.event import wire_time
from tenaudit.audit.integrity import Checkpoint, Subtree
from tenaudit.audit.integrity.audit_log import LoggedLeaf, find_problems, roots_of, seal_link
from tenaudit.audit.integrity.row_leaf import ROW_COLUMNS, proven_leaf, row_erased
from tenaudit.audit.retention.history import KeptTerms, LoggedRecord, RetentionHistory
from tenaudit.backends.postgres.log import frontier_hashes, log_origin
from tenaudit.backends.postgres.rows import is_evidence, plain_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from datetime import datetime

    from tenaudit.backends.postgres.pool import PostgresPool, Session

__all__ = ["Basis", "verify_tenants"]

_HASH = 32
_ID = ROW_COLUMNS.index("event_id")
# Locked before the snapshot is taken: a partition that is dropped in between would be missing, and its record not seen.
_WHOLE_SNAPSHOT = "ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE tenaudit.events IN ACCESS SHARE MODE"
_PAGE = 4000


class Basis(NamedTuple):
    """What rows are held against: the secret of content hashes, trusted checkpoints by tenant, and the time."""

    key: bytes
    signed: Mapping[UUID, Sequence[Checkpoint]]
    now: datetime


async def _verify_tenant(session: Session, tenant_id: UUID, basis: Basis) -> tuple[int, list[Problem]]:
    """Return how many events a tenant has and what is wrong with its log; the session is about that tenant.

    Each page has the deadline of the session anew.
    """
    check = _Check(session, asyncio.get_running_loop(), tenant_id, basis)
    return await asyncio.to_thread(check.run)


async def verify_tenants(pool: PostgresPool, tenants: Sequence[UUID], basis: Basis) -> VerifyReport:
    """Check one tenant after the other, each from one snapshot of the database."""
    events = 0
    problems: list[Problem] = []
    for tenant in tenants:
        async with pool.transaction([tenant], mode=_WHOLE_SNAPSHOT) as session:
            counted, found = await _verify_tenant(session, tenant, basis)
        events += counted
        problems += found
    return VerifyReport(events, len(tenants), tuple(problems))


class _Check:
    """One check, in a thread. When its caller goes away the next page fails, and the thread ends."""

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop, tenant_id: UUID, basis: Basis) -> None:
        self._session = session
        self._loop = loop
        self._tenant_id = tenant_id
        self._key, self._now = basis.key, basis.now
        self._signed = basis.signed.get(tenant_id, ())
        self._events = 0

    def run(self) -> tuple[int, list[Problem]]:
        """Return the number of events and the problems."""
        heads: list[Mapping[str, Any]] = self._page("read_log")
        head: Mapping[str, Any] = heads[0] if heads else {"size": 0, "frontier": b"", "seals": b"", "sealed": 0}
        checkpoints = [*self._rows("read_checkpoints", (None,), lambda row: (row["size"],))]
        problems = [
            *self._seal_problems(checkpoints, head),
            *self._conflict_problems(),
            *find_problems(
                self._tenant_id,
                self._leaves(),
                roots_of(checkpoints, self._signed),
                self._strangers(),
                head["size"],
                frontier_hashes(head["frontier"]),
                self._history(checkpoints, heads[0] if heads else None),
                self._subtrees(),
            ),
        ]
        # The driver's own kind of UUID costs less than the plain one, which only few need.
        return self._events, [
            replace(one, event_id=plain_uuid(one.event_id)) if isinstance(one.event_id, UUID) else one
            for one in problems
        ]

    def _history(self, checkpoints: Sequence[Mapping[str, Any]], head: Mapping[str, Any] | None) -> RetentionHistory:
        records = (
            LoggedRecord(row["idx"], plain_uuid(row["event_id"]), row["record"], row["leaf_hash"])
            for row in self._rows("read_records", (None,), lambda row: (row["idx"],))
        )
        sealed = [(row["size"], row["sealed_at"]) for row in checkpoints]
        kept = KeptTerms()
        if head is not None:
            before = None if head["purged_before"] is None else wire_time(head["purged_before"])
            kept = KeptTerms(head["retention_days"], int(head["held"]), before)
        return RetentionHistory(self._tenant_id, records, sealed, self._now, kept)

    def _leaves(self) -> Iterator[LoggedLeaf]:
        for row in self._rows("walk_log", (None,), lambda row: (row["idx"],)):
            place, event_id, stored, digest, salts, commitments, *values = cast("tuple[Any, ...]", row)
            present = values[_ID] is not None
            self._events += present
            yield LoggedLeaf(
                place,
                event_id,
                stored if len(stored) == _HASH else bytes(_HASH),
                proven_leaf(values, digest, self._key, salts, commitments) if present else None,
                row_erased(salts, commitments),
            )

    def _subtrees(self) -> Iterator[Subtree]:
        for row in self._rows("walk_subtrees", (None, None), lambda row: (row["level"], row["place"])):
            yield Subtree(*cast("tuple[Any, ...]", row))

    def _strangers(self) -> Iterator[UUID]:
        # A row has one place, and a place one row: as many rows as places that have theirs are all of them.
        (counted,) = self._asked("count_own").result()
        if counted["rows"] == self._events:
            return
        for row in self._rows("strangers", (None,), lambda row: (row["event_id"],)):
            self._events += 1
            yield plain_uuid(row["event_id"])

    def _conflict_problems(self) -> Iterator[Problem]:
        for row in self._rows("read_conflicts", (None, None), lambda row: (row["event_id"], row["content_hash"])):
            if not is_evidence(row, self._tenant_id, self._key):
                detail = "the second content kept of this event was altered"
                yield Problem(self._tenant_id, plain_uuid(row["event_id"]), "changed", detail)

    def _seal_problems(self, checkpoints: Sequence[Mapping[str, Any]], head: Mapping[str, Any]) -> Iterator[Problem]:
        chain = b""
        altered = False
        for row in checkpoints:
            chain = seal_link(chain, row["body"], row["sealed_at"])
            if row["body"] != self._body(row):
                altered = True
                yield Problem(self._tenant_id, None, "checkpoint", f"the checkpoint at {row['size']} was altered")
        last = checkpoints[-1]["size"] if checkpoints else 0
        if not altered and (chain != head["seals"] or last != head["sealed"]):
            detail = f"checkpoints up to {last} were taken out, put in or dated anew"
            yield Problem(self._tenant_id, None, "checkpoint", detail)

    def _body(self, row: Mapping[str, Any]) -> str | None:
        try:
            return Checkpoint(log_origin(self._tenant_id), row["size"], row["root"]).body()
        except ValueError:
            return None

    def _rows(
        self, statement: str, start: tuple[Any, ...], place: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of a statement that pages by *place*, to the end; the next page is fetched meanwhile."""
        coming = self._asked(statement, *start, _PAGE)
        while rows := coming.result():
            coming = self._asked(statement, *place(rows[-1]), _PAGE)
            yield from rows

    def _page(self, statement: str) -> list[Mapping[str, Any]]:
        return self._asked(statement).result()

    def _asked(self, statement: str, *values: Any) -> Future[list[Mapping[str, Any]]]:
        async def page() -> list[Mapping[str, Any]]:
            rows = await self._session.rows(statement, self._tenant_id, *values)
            self._session.extend()
            return rows

        return asyncio.run_coroutine_threadsafe(page(), self._loop)
