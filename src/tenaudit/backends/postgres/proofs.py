"""Proofs out of the database: each is one transaction, which is about one tenant."""

from __future__ import annotations

from abc import abstractmethod
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from tenaudit.audit.proving import Ask, LeafOf, LeavesOf, ProvesFromHashes, SealedAt, kept_checkpoint, kept_openings_of
from tenaudit.backends.postgres.log import log_origin
from tenaudit.backends.postgres.rows import plain_uuid

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from uuid import UUID

    from tenaudit.backends.postgres.pool import PostgresPool, Session

__all__ = ["PostgresProofs"]

_T = TypeVar("_T")
_number = attrgetter("int")
_SNAPSHOT = "ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresProofs(ProvesFromHashes):
    """The part of the store that proofs are about."""

    _pool: PostgresPool

    @abstractmethod
    async def _opened(self) -> bytes:
        """Return the secret of content hashes, once the store is open."""

    async def _prove(self, tenant_id: UUID, work: Generator[Ask, Any, _T]) -> _T:
        await self._opened()
        answer: Any = None
        async with self._pool.transaction([tenant_id], mode=_SNAPSHOT) as session:
            while True:
                try:
                    ask = work.send(answer)
                except StopIteration as done:
                    result: _T = done.value
                    return result
                answer = await _answer(session, tenant_id, ask)


async def _answer(session: Session, tenant_id: UUID, ask: Ask) -> Any:
    match ask:
        case SealedAt(size):
            row = await session.row("sealed_at", tenant_id, size)
            return None if row is None else kept_checkpoint(log_origin(tenant_id), row["size"], row["root"])
        case LeavesOf(event_ids):
            if not event_ids:
                return []
            bounds = min(event_ids, key=_number), max(event_ids, key=_number)
            rows = await session.rows("leaves_of_events", tenant_id, event_ids, *bounds)
            return [_leaf_of(row) for row in rows]
        case ranges:
            columns = [list(column) for column in zip(*ranges, strict=True)]
            rows = await session.rows("read_hashes", tenant_id, *columns)
            return {(row["level"], row["place"]): row["root"] for row in rows}


def _leaf_of(row: Mapping[str, Any]) -> LeafOf:
    event_id = plain_uuid(row["event_id"])
    openings = kept_openings_of(event_id, row["salts"], row["commitments"])
    return LeafOf(event_id, row["idx"], row["leaf_hash"], openings)
