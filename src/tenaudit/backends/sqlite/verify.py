"""Checking everything again: every leaf, row, checkpoint and kept conflict, from one snapshot of the file."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tenaudit.audit import Problem, VerifyReport
from tenaudit.audit.integrity import Checkpoint, Subtree
from tenaudit.audit.integrity.audit_log import LoggedLeaf, find_problems, roots_of, seal_link
from tenaudit.audit.integrity.row_leaf import ROW_COLUMNS, proven_leaf, row_erased
from tenaudit.audit.retention.history import KeptTerms, LoggedRecord, RetentionHistory
from tenaudit.audit.retention.moments import wall_time
from tenaudit.backends.sqlite.rows import is_evidence, uuid_or_text
from tenaudit.backends.sqlite.transaction import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit import VerifyPart

__all__ = ["LogCheck", "hashes_of", "log_origin"]

_HASH = 32
_ID = ROW_COLUMNS.index("event_id")


class LogCheck:
    """What verifies a file.

    Args:
        statements: the named statements.
        key: secret of the content hashes.
        clock: tells what cannot have been written yet.
    """

    def __init__(self, statements: dict[str, str], key: bytes, clock: Clock) -> None:
        self._sql = statements
        self._key = key
        self._clock = clock

    def report(
        self,
        connection: sqlite3.Connection,
        tenant_id: UUID | None,
        signed: Mapping[UUID, Sequence[Checkpoint]],
        part: VerifyPart | None = None,
    ) -> VerifyReport:
        """Check every leaf, row and checkpoint, and what is *signed*, against one snapshot of the file."""
        kept = {str(tenant): checkpoints for tenant, checkpoints in signed.items()}
        events = 0
        problems: list[Problem] = []
        with transaction(connection, "DEFERRED"):
            with _any_text(connection):
                every = [row["tenant_id"] for row in connection.execute(self._sql["known_tenants"])]
            known = sorted({*every, *kept}) if tenant_id is None else [str(tenant_id)]
            tenants = [tenant for tenant in known if part is None or part.has(tenant)]
            for tenant in tenants:
                if _is_text(tenant):
                    counted = connection.execute(self._sql["count_own"], {"tenant_id": tenant}).fetchone()[0]
                    problems += self._found(connection, tenant, kept.get(tenant, ()))
                    events += counted
                else:
                    problems.append(Problem(uuid_or_text(tenant), None, "changed", "a tenant id is no text"))
        return VerifyReport(events, len(tenants), tuple(problems))

    def _found(self, connection: sqlite3.Connection, tenant: str, signed: Sequence[Checkpoint]) -> list[Problem]:
        try:
            found = [*self._problems(connection, tenant, signed)]
        except sqlite3.OperationalError:
            # Text that is none, most likely: it can be read too, but for all others that is a fifth of the time.
            with _any_text(connection):
                found = [*self._problems(connection, tenant, signed)]
        return [
            replace(one, event_id=uuid_or_text(one.event_id)) if isinstance(one.event_id, str) else one for one in found
        ]

    def _problems(self, connection: sqlite3.Connection, tenant: str, signed: Sequence[Checkpoint]) -> Iterator[Problem]:
        whose = {"tenant_id": tenant}
        tenant_id = uuid_or_text(tenant)
        log = connection.execute(self._sql["read_log"], whose).fetchone()
        checkpoints = connection.execute(self._sql["read_checkpoints"], whose).fetchall()
        yield from _seal_problems(tenant, checkpoints, b"" if log is None else log["seals"])
        yield from self._conflict_problems(connection, tenant)
        yield from find_problems(
            tenant_id,
            self._leaves(connection, whose),
            roots_of(checkpoints, signed),
            (row["event_id"] for row in connection.execute(self._sql["strangers"], whose)),
            0 if log is None else log["size"],
            () if log is None else hashes_of(log["frontier"]),
            self._history(connection, tenant, checkpoints, log),
            (Subtree(*row) for row in connection.execute(self._sql["walk_subtrees"], whose)),
        )

    def _leaves(self, connection: sqlite3.Connection, whose: dict[str, str]) -> Iterator[LoggedLeaf]:
        for row in connection.execute(self._sql["walk_log"], whose):
            place, event_id, stored, digest, salts, commitments, *values = row
            leaf = None if values[_ID] is None else proven_leaf(values, digest, self._key, salts, commitments)
            erased = row_erased(salts, commitments)
            yield LoggedLeaf(place, event_id, stored if len(stored) == _HASH else bytes(_HASH), leaf, erased)

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


def hashes_of(raw: bytes) -> tuple[bytes, ...]:
    """Return the hashes of a stored frontier."""
    return tuple(raw[place : place + _HASH] for place in range(0, len(raw), _HASH))


def _seal_problems(tenant: str, checkpoints: Sequence[sqlite3.Row], seals: bytes) -> Iterator[Problem]:
    chain = b""
    altered = False
    for row in checkpoints:
        chain = seal_link(chain, row["body"], row["sealed_at"])
        if row["body"] != _body(tenant, row):
            altered = True
            yield Problem(uuid_or_text(tenant), None, "checkpoint", f"the checkpoint at {row['size']} was altered")
    if chain != seals and not altered:
        last = checkpoints[-1]["size"] if checkpoints else 0
        detail = f"checkpoints up to {last} were taken out, put in or dated anew"
        yield Problem(uuid_or_text(tenant), None, "checkpoint", detail)


def log_origin(tenant_id: str) -> str:
    """Return the name of a tenant's log in its checkpoints."""
    return f"tenaudit/tenant/{tenant_id}"


def _body(tenant_id: str, row: sqlite3.Row) -> str | None:
    try:
        return Checkpoint(log_origin(tenant_id), row["size"], row["root"]).body()
    except ValueError:
        return None
