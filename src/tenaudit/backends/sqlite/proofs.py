"""Proofs out of the file: each is one job of the reader, in one transaction."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

from tenaudit.audit.integrity import HASH_BYTES, CompactRange, Subtree
from tenaudit.audit.proving import Ask, LeafOf, LeavesOf, ProvesFromHashes, SealedAt, kept_checkpoint, kept_openings_of
from tenaudit.backends.sqlite.transaction import transaction
from tenaudit.backends.sqlite.verify import log_origin

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Iterable, Iterator
    from uuid import UUID

    from tenaudit.backends.sqlite.log import LogFile
    from tenaudit.backends.sqlite.worker import SqliteWorker

__all__ = ["SqliteProofs", "fill_subtrees", "keep_subtrees"]

_T = TypeVar("_T")
_AT_ONCE = 4096


class SqliteProofs(ProvesFromHashes):
    """The part of the store that proofs are about."""

    _sql: dict[str, str]
    _reader: SqliteWorker

    @abstractmethod
    async def _opened(self) -> LogFile:
        """Return the log, once the file is open."""

    async def _prove(self, tenant_id: UUID, work: Generator[Ask, Any, _T]) -> _T:
        await self._opened()
        return await self._reader.run(_answered, self._sql, str(tenant_id), work)


def _answered(
    connection: sqlite3.Connection, statements: dict[str, str], tenant_id: str, work: Generator[Ask, Any, _T]
) -> _T:
    answer: Any = None
    with transaction(connection, "DEFERRED"):
        while True:
            try:
                ask = work.send(answer)
            except StopIteration as done:
                result: _T = done.value
                return result
            answer = _answer(connection, statements, tenant_id, ask)


def _answer(connection: sqlite3.Connection, statements: dict[str, str], tenant_id: str, ask: Ask) -> Any:
    whose = {"tenant_id": tenant_id}
    match ask:
        case SealedAt(size):
            row = connection.execute(statements["sealed_at"], {**whose, "size": size}).fetchone()
            return None if row is None else kept_checkpoint(log_origin(tenant_id), row["size"], row["root"])
        case LeavesOf(event_ids):
            found = []
            for event_id in event_ids:
                which = {**whose, "event_id": str(event_id)}
                row = connection.execute(statements["leaf_of_event"], which).fetchone()
                if row is not None:
                    openings = kept_openings_of(event_id, row["salts"], row["commitments"])
                    found.append(LeafOf(event_id, row["idx"], row["leaf_hash"], openings))
            return found
        case ranges:
            return {
                (level, row["place"]): row["root"]
                for level, first, end in ranges
                for row in connection.execute(
                    statements["read_subtrees" if level else "read_leaves"],
                    {**whose, "level": level, "first": first, "end": end},
                )
            }


def keep_subtrees(
    connection: sqlite3.Connection, statements: dict[str, str], tenant_id: str, completed: Iterable[Subtree]
) -> None:
    """Keep the roots of subtrees that a log has completed; one that is there stays, for `verify` to judge."""
    connection.executemany(
        statements["insert_subtree"],
        [{"tenant_id": tenant_id, **subtree._asdict()} for subtree in completed],
    )


def fill_subtrees(connection: sqlite3.Connection, statements: dict[str, str]) -> None:
    """Keep the subtrees of every log that is older than the table of them."""
    for log in connection.execute(statements["logged_tenants"]).fetchall():
        tree = CompactRange()
        for leaves in _runs(connection.execute(statements["walk_leaves"], {"tenant_id": log["tenant_id"]})):
            tree, completed = tree.grown(leaves)
            keep_subtrees(connection, statements, log["tenant_id"], completed)


def _runs(rows: sqlite3.Cursor) -> Iterator[list[bytes]]:
    """Yield the leaves of a log in runs, up to a place that has none or no hash: `verify` names it."""
    expected = 0
    while part := rows.fetchmany(_AT_ONCE):
        run: list[bytes] = []
        for row in part:
            if row["idx"] != expected or len(row["leaf_hash"]) != HASH_BYTES:
                yield run
                return
            run.append(row["leaf_hash"])
            expected += 1
        yield run
