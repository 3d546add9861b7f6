"""The log inside the file: appending in one transaction, sealing, and checking everything again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tenaudit.audit import AppendResult, Problem, SinkRejected, StoreError, VerifyReport
from tenaudit.audit.event import wire_time
from tenaudit.audit.integrity import CanonicalError, Checkpoint, CompactRange, MerkleError
from tenaudit.audit.integrity.audit_log import LoggedLeaf, SealedRoot, find_problems, seal_link
from tenaudit.audit.retention.history import KeptTerms, LoggedRecord, RetentionHistory
from tenaudit.audit.retention.moments import wall_time
from tenaudit.audit.retention.steps import DamagedLog
from tenaudit.backends.sqlite.expiry import ExpiryGate
from tenaudit.backends.sqlite.rows import SealedRow, actual_leaf, evidence_text, is_evidence, uuid_or_text
from tenaudit.backends.sqlite.transaction import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit import AuditEvent

__all__ = ["LogFile"]

_HASH = 32


class LogFile:
    """What can be done with the log of a file; every method takes the connection it works on.

    Args:
        statements: the named statements.
        key: secret of the content hashes.
        clock: tells when a checkpoint is sealed, and what has expired.
    """

    def __init__(self, statements: dict[str, str], key: bytes, clock: Clock) -> None:
        self.statements = self._sql = statements
        self._key = key
        self._clock = clock

    def append(self, connection: sqlite3.Connection, events: Sequence[AuditEvent]) -> AppendResult:
        """Insert what is new and append its leaves, all in one transaction.

        Raises:
            SinkRejected: events that can never be stored; nothing was written.
            StoreError: the log was tampered with and cannot grow.
        """
        rows = self._sealed_rows(events)
        counts = {"stored": 0, "duplicates": 0, "conflicts": 0, "expired": 0}
        with transaction(connection, "IMMEDIATE"):
            gate = ExpiryGate(connection, self._sql, wall_time(self._clock))
            fresh: dict[str, list[SealedRow]] = {}
            for row in rows:
                if (known := gate.judge(row)) is not None:
                    counts[known] += 1
                    if known == "conflicts":
                        self._keep_evidence(connection, row)
                elif connection.execute(self._sql["insert_event"], row.parameters).rowcount == 1:
                    fresh.setdefault(row.parameters["tenant_id"], []).append(row)
                    counts["stored"] += 1
                else:
                    counts[self._met_again(connection, row)] += 1
            for tenant_id, new in fresh.items():
                self._extend(connection, tenant_id, new)
        return AppendResult(**counts)

    def sealed_row(self, event: AuditEvent) -> SealedRow:
        """Return the row of an event that tenaudit itself made."""
        return SealedRow(event, self._key)

    def leaf_of(self, row: Any) -> bytes:
        """Return the leaf hash of a row as it is now."""
        return actual_leaf(row, self._key)

    def take(self, connection: sqlite3.Connection, row: SealedRow) -> int:
        """Insert one new event in the transaction that is open, and return its place in the log.

        Raises:
            StoreError: the id is there already, or the log was tampered with and cannot grow.
        """
        if connection.execute(self._sql["insert_event"], row.parameters).rowcount != 1:
            raise StoreError(f"event {row.parameters['event_id']} is there already; try again")
        return self._extend(connection, row.parameters["tenant_id"], [row])

    def _sealed_rows(self, events: Sequence[AuditEvent]) -> list[SealedRow]:
        rows: list[SealedRow] = []
        refused: list[AuditEvent] = []
        for event in events:
            try:
                rows.append(SealedRow(event, self._key))
            except CanonicalError:
                refused.append(event)
        if refused:
            raise SinkRejected.of(refused, "not_canonical")
        return rows

    def _met_again(self, connection: sqlite3.Connection, row: SealedRow) -> str:
        known = connection.execute(self._sql["content_hash"], row.parameters).fetchone()
        if known["content_hash"] == row.parameters["content_hash"]:
            return "duplicates"
        self._keep_evidence(connection, row)
        return "conflicts"

    def _keep_evidence(self, connection: sqlite3.Connection, row: SealedRow) -> None:
        evidence = {**row.parameters, "record": evidence_text(row), "seen_at": self._now()}
        connection.execute(self._sql["insert_conflict"], evidence)

    def _now(self) -> str:
        return wire_time(wall_time(self._clock))

    def _extend(self, connection: sqlite3.Connection, tenant_id: str, rows: Sequence[SealedRow]) -> int:
        """Append leaves, and return the place of the first."""
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
        first = tree.size
        tree = tree.extend([row.leaf for row in rows])
        connection.execute(
            self._sql["write_log"], {"tenant_id": tenant_id, "size": tree.size, "frontier": b"".join(tree.hashes)}
        )
        return first

    def _tree(self, connection: sqlite3.Connection, tenant_id: str) -> CompactRange:
        row = connection.execute(self._sql["read_log"], {"tenant_id": tenant_id}).fetchone()
        return CompactRange() if row is None else _restored(row, tenant_id)

    def seal(self, connection: sqlite3.Connection, tenant_id: UUID | None) -> tuple[Checkpoint, ...]:
        """Write a checkpoint for every log that has grown since its last one."""
        sealed = []
        with transaction(connection, "IMMEDIATE"):
            wanted = {"tenant_id": None if tenant_id is None else str(tenant_id)}
            for row in connection.execute(self._sql["grown_logs"], wanted).fetchall():
                checkpoint = Checkpoint(_origin(row["tenant_id"]), row["size"], _restored(row, row["tenant_id"]).root())
                body, sealed_at = checkpoint.body(), self._now()
                connection.execute(
                    self._sql["insert_checkpoint"],
                    {
                        "tenant_id": row["tenant_id"],
                        "size": checkpoint.size,
                        "root": checkpoint.root,
                        "body": body,
                        "sealed_at": sealed_at,
                    },
                )
                chain = {"tenant_id": row["tenant_id"], "seals": seal_link(row["seals"], body, sealed_at)}
                connection.execute(self._sql["write_seals"], chain)
                sealed.append(checkpoint)
        return tuple(sealed)

    def verify(self, connection: sqlite3.Connection, tenant_id: UUID | None) -> VerifyReport:
        """Check every leaf, row and checkpoint against one snapshot of the file."""
        events = 0
        problems: list[Problem] = []
        with _any_text(connection), transaction(connection, "DEFERRED"):
            every = [row["tenant_id"] for row in connection.execute(self._sql["known_tenants"])]
            tenants = every if tenant_id is None else [str(tenant_id)]
            for tenant in tenants:
                if _is_text(tenant):
                    problems += self._problems(connection, tenant)
                    events += connection.execute(self._sql["count_events"], {"tenant_id": tenant}).fetchone()[0]
                else:
                    problems.append(Problem(uuid_or_text(tenant), None, "changed", "a tenant id is no text"))
        return VerifyReport(events, len(tenants), tuple(problems))

    def _problems(self, connection: sqlite3.Connection, tenant: str) -> Iterator[Problem]:
        whose = {"tenant_id": tenant}
        tenant_id = uuid_or_text(tenant)
        log = connection.execute(self._sql["read_log"], whose).fetchone()
        checkpoints = connection.execute(self._sql["read_checkpoints"], whose).fetchall()
        yield from _seal_problems(tenant, checkpoints, b"" if log is None else log["seals"])
        yield from self._conflict_problems(connection, tenant)
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
            [SealedRoot(row["size"], row["root"]) for row in checkpoints],
            (uuid_or_text(row["event_id"]) for row in connection.execute(self._sql["strangers"], whose)),
            0 if log is None else log["size"],
            () if log is None else _hashes(log["frontier"]),
            self._history(connection, tenant, checkpoints, log),
        )

    def _history(
        self, connection: sqlite3.Connection, tenant: str, checkpoints: Sequence[sqlite3.Row], log: sqlite3.Row | None
    ) -> RetentionHistory:
        records = (
            LoggedRecord(row["idx"], uuid_or_text(row["event_id"]), row["record"], row["leaf_hash"])
            for row in connection.execute(self._sql["read_records"], {"tenant_id": tenant})
        )
        sealed = [(row["size"], row["sealed_at"]) for row in checkpoints]
        kept = KeptTerms() if log is None else KeptTerms(log["retention_days"], log["held"], log["purged_before"])
        return RetentionHistory(uuid_or_text(tenant), records, sealed, wall_time(self._clock), kept)

    def _conflict_problems(self, connection: sqlite3.Connection, tenant: str) -> Iterator[Problem]:
        for row in connection.execute(self._sql["read_conflicts"], {"tenant_id": tenant}):
            if not is_evidence(row, tenant, self._key):
                detail = "the second content kept of this event was altered"
                yield Problem(uuid_or_text(tenant), uuid_or_text(row["event_id"]), "changed", detail)


@contextmanager
def _any_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Read bytes that are no UTF-8 as text that fits nothing, instead of failing on them."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        connection.text_factory = str


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _hashes(raw: bytes) -> tuple[bytes, ...]:
    return tuple(raw[place : place + _HASH] for place in range(0, len(raw), _HASH))


def _restored(row: sqlite3.Row, tenant_id: str) -> CompactRange:
    try:
        return CompactRange(row["size"], _hashes(row["frontier"]))
    except MerkleError:
        raise DamagedLog(tenant_id) from None


def _seal_problems(tenant: str, checkpoints: Sequence[sqlite3.Row], seals: bytes) -> Iterator[Problem]:
    chain = b""
    altered = False
    for row in checkpoints:
        chain = seal_link(chain, row["body"], row["sealed_at"])
        if row["body"] != _body(tenant, row):
            altered = True
            yield Problem(uuid_or_text(tenant), None, "checkpoint", f"the checkpoint at {row['size']} was altered")
    if chain != seals and not altered:
        yield Problem(uuid_or_text(tenant), None, "checkpoint", "checkpoints were taken out, put in or dated anew")


def _origin(tenant_id: str) -> str:
    return f"tenaudit/tenant/{tenant_id}"


def _body(tenant_id: str, row: sqlite3.Row) -> str | None:
    try:
        return Checkpoint(_origin(tenant_id), row["size"], row["root"]).body()
    except ValueError:
        return None
