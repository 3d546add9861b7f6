"""The log inside the file: appending in one transaction, sealing, and checking everything again."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tenaudit.audit import AppendResult, Problem, VerifyReport
from tenaudit.audit.event import wire_time
from tenaudit.audit.integrity import Checkpoint, CompactRange, MerkleError, canonical_json
from tenaudit.audit.integrity.audit_log import LoggedLeaf, SealedRoot, find_problems
from tenaudit.backends.sqlite.rows import SealedRow, actual_leaf, uuid_or_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from tenaudit.audit import AuditEvent

__all__ = ["LogFile"]

_HASH = 32


@contextmanager
def _transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


class LogFile:
    """What can be done with the log of a file; every method takes the connection it works on.

    Args:
        statements: the named statements.
        key: secret of the content hashes.
    """

    def __init__(self, statements: dict[str, str], key: bytes) -> None:
        self._sql = statements
        self._key = key

    def append(self, connection: sqlite3.Connection, events: Sequence[AuditEvent]) -> AppendResult:
        """Insert what is new and append its leaves, all in one transaction."""
        rows = [SealedRow(event, self._key) for event in events]
        counts = {"stored": 0, "duplicates": 0, "conflicts": 0}
        with _transaction(connection, "IMMEDIATE"):
            fresh: dict[str, list[SealedRow]] = {}
            for row in rows:
                if connection.execute(self._sql["insert_event"], row.parameters).rowcount == 1:
                    fresh.setdefault(row.parameters["tenant_id"], []).append(row)
                    counts["stored"] += 1
                else:
                    counts[self._met_again(connection, row)] += 1
            for tenant_id, new in fresh.items():
                self._extend(connection, tenant_id, new)
        return AppendResult(**counts, expired=0)

    def _met_again(self, connection: sqlite3.Connection, row: SealedRow) -> str:
        known = connection.execute(self._sql["content_hash"], row.parameters).fetchone()
        if known["content_hash"] == row.parameters["content_hash"]:
            return "duplicates"
        evidence = {**row.parameters, "record": canonical_json(_evidence(row)).decode(), "seen_at": _now()}
        connection.execute(self._sql["insert_conflict"], evidence)
        return "conflicts"

    def _extend(self, connection: sqlite3.Connection, tenant_id: str, rows: Sequence[SealedRow]) -> None:
        tree = self._tree(connection, tenant_id)
        connection.executemany(
            self._sql["insert_leaf"],
            [
                {
                    "tenant_id": tenant_id,
                    "idx": tree.size + place,
                    "event_id": row.parameters["event_id"],
                    "leaf_hash": row.leaf,
                }
                for place, row in enumerate(rows)
            ],
        )
        tree = tree.extend([row.leaf for row in rows])
        connection.execute(
            self._sql["write_log"], {"tenant_id": tenant_id, "size": tree.size, "frontier": b"".join(tree.hashes)}
        )

    def _tree(self, connection: sqlite3.Connection, tenant_id: str) -> CompactRange:
        row = connection.execute(self._sql["read_log"], {"tenant_id": tenant_id}).fetchone()
        return CompactRange() if row is None else _restored(row)

    def seal(self, connection: sqlite3.Connection, tenant_id: UUID | None) -> tuple[Checkpoint, ...]:
        """Write a checkpoint for every log that has grown since its last one."""
        sealed = []
        with _transaction(connection, "IMMEDIATE"):
            wanted = {"tenant_id": None if tenant_id is None else str(tenant_id)}
            for row in connection.execute(self._sql["grown_logs"], wanted).fetchall():
                checkpoint = Checkpoint(_origin(row["tenant_id"]), row["size"], _restored(row).root())
                connection.execute(
                    self._sql["insert_checkpoint"],
                    {
                        "tenant_id": row["tenant_id"],
                        "size": checkpoint.size,
                        "root": checkpoint.root,
                        "body": checkpoint.body(),
                        "sealed_at": _now(),
                    },
                )
                sealed.append(checkpoint)
        return tuple(sealed)

    def verify(self, connection: sqlite3.Connection, tenant_id: UUID | None) -> VerifyReport:
        """Check every leaf, row and checkpoint against one snapshot of the file."""
        events = 0
        problems: list[Problem] = []
        with _transaction(connection, "DEFERRED"):
            every = [row["tenant_id"] for row in connection.execute(self._sql["known_tenants"])]
            tenants = every if tenant_id is None else [str(tenant_id)]
            for tenant in tenants:
                problems += self._problems(connection, tenant)
                events += connection.execute(self._sql["count_events"], {"tenant_id": tenant}).fetchone()[0]
        return VerifyReport(events, len(tenants), tuple(problems))

    def _problems(self, connection: sqlite3.Connection, tenant: str) -> Iterator[Problem]:
        whose = {"tenant_id": tenant}
        tenant_id = uuid_or_text(tenant)
        log = connection.execute(self._sql["read_log"], whose).fetchone()
        sealed = []
        for row in connection.execute(self._sql["read_checkpoints"], whose):
            sealed.append(SealedRoot(row["size"], row["root"]))
            if row["body"] != _body(tenant, row):
                yield Problem(tenant_id, None, "checkpoint", f"the checkpoint at {row['size']} was altered")
        if log is not None and sealed and not _fits(log):
            yield Problem(tenant_id, None, "checkpoint", "the log's frontier was altered")
        yield from find_problems(
            tenant_id,
            (
                LoggedLeaf(
                    row["leaf_idx"],
                    uuid_or_text(row["leaf_event_id"]),
                    row["leaf_hash"] if len(row["leaf_hash"]) == _HASH else bytes(_HASH),
                    None if row["event_id"] is None else actual_leaf(row, self._key),
                )
                for row in connection.execute(self._sql["walk_log"], whose)
            ),
            sealed,
            (uuid_or_text(row["event_id"]) for row in connection.execute(self._sql["strangers"], whose)),
            0 if log is None else log["size"],
        )


def _restored(row: sqlite3.Row) -> CompactRange:
    raw: bytes = row["frontier"]
    return CompactRange(row["size"], tuple(raw[place : place + _HASH] for place in range(0, len(raw), _HASH)))


def _fits(row: sqlite3.Row) -> bool:
    try:
        _restored(row)
    except MerkleError:
        return False
    return True


def _origin(tenant_id: str) -> str:
    return f"tenaudit/tenant/{tenant_id}"


def _body(tenant_id: str, row: sqlite3.Row) -> str | None:
    try:
        return Checkpoint(_origin(tenant_id), row["size"], row["root"]).body()
    except ValueError:
        return None


def _evidence(row: SealedRow) -> dict[str, object]:
    return {name: value for name, value in row.parameters.items() if name != "content_hash"}


def _now() -> str:
    return wire_time(datetime.now(UTC))
