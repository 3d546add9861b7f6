"""What a leaf commits to, and what verification says of the leaves, rows and checkpoints of one tenant.

Rules of this file: pure; a backend reads rows and hands them over in log order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenaudit.audit.integrity.canonical import canonical_json
from tenaudit.audit.integrity.merkle import CompactRange, leaf_hash
from tenaudit.audit.ports import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

__all__ = ["LoggedLeaf", "SealedRoot", "event_leaf", "find_problems"]

_RUN = 1024


def event_leaf(record: Mapping[str, Any]) -> bytes:
    """Return the leaf hash of an event's wire form: RFC 9162 section 2.1.1 over RFC 8785 JSON."""
    return leaf_hash(canonical_json(record))


@dataclass(frozen=True, slots=True)
class LoggedLeaf:
    """One place of a tenant's log as the store holds it now.

    Args:
        index: its place, from 0.
        event_id: the event it was given to.
        stored: the leaf hash written when the event arrived.
        actual: the leaf hash of the event row as it is now, None when there is no row.
    """

    index: int
    event_id: UUID | str
    stored: bytes
    actual: bytes | None


@dataclass(frozen=True, slots=True)
class SealedRoot:
    """A checkpoint: the root that the log had at a size."""

    size: int
    root: bytes


def find_problems(
    tenant_id: UUID | str,
    leaves: Iterable[LoggedLeaf],
    sealed: Sequence[SealedRoot],
    strangers: Iterable[UUID | str],
    size: int,
) -> Iterator[Problem]:
    """Yield everything that does not fit, in log order.

    A root that differs is reported only when nothing else explains it: whoever reads the report wants the
    event, not the hash.

    Args:
        tenant_id: whose log it is.
        leaves: the log in order of index.
        sealed: its checkpoints, by size.
        strangers: event rows that have no place in the log.
        size: the size that the store says the log has.
    """
    roots = _Roots(sealed)
    found = 0
    expected = 0
    for leaf in leaves:
        if leaf.index != expected:
            found += 1
            yield Problem(tenant_id, None, "missing", f"the log has no entries from {expected} to {leaf.index - 1}")
        expected = leaf.index + 1
        problem = _leaf_problem(tenant_id, leaf)
        if problem is not None:
            found += 1
            yield problem
        # Past a gap or a broken hash every root is another one, and the gap has been reported.
        if not found:
            roots.add(leaf.stored)
    for event_id in strangers:
        found += 1
        yield Problem(tenant_id, event_id, "inserted", "the event has no place in the log")
    known_size = max(size, sealed[-1].size if sealed else 0)
    if expected < known_size:
        found += 1
        yield Problem(tenant_id, None, "truncated", f"the log ends at {expected} and had {known_size} entries")
    if not found and (wrong := roots.first_wrong()) is not None:
        yield Problem(tenant_id, None, "checkpoint", f"the root of the first {wrong} entries is another one")


def _leaf_problem(tenant_id: UUID | str, leaf: LoggedLeaf) -> Problem | None:
    if leaf.actual is None:
        return Problem(tenant_id, leaf.event_id, "missing", f"the event at index {leaf.index} is gone")
    if leaf.actual != leaf.stored:
        return Problem(tenant_id, leaf.event_id, "changed", f"the event at index {leaf.index} was altered")
    return None


class _Roots:
    """Grows the tree and holds its root against each checkpoint; leaves are added in runs, which is cheaper."""

    def __init__(self, sealed: Sequence[SealedRoot]) -> None:
        self._due = list(reversed(sealed))
        self._tree = CompactRange()
        self._run: list[bytes] = []
        self._wrong: int | None = None

    def add(self, stored: bytes) -> None:
        self._run.append(stored)
        size = self._tree.size + len(self._run)
        if len(self._run) >= _RUN or (self._due and self._due[-1].size <= size):
            self._tree = self._tree.extend(self._run)
            self._run.clear()
            self._compare()

    def _compare(self) -> None:
        while self._due and self._due[-1].size <= self._tree.size:
            due = self._due.pop()
            if (due.size != self._tree.size or due.root != self._tree.root()) and self._wrong is None:
                self._wrong = due.size

    def first_wrong(self) -> int | None:
        """Return the size of the first checkpoint that does not fit, if any."""
        return self._wrong
