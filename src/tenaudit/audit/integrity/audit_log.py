"""What a leaf commits to, and what verification says of the leaves, rows and checkpoints of one tenant.

Rules of this file: pure; a backend reads rows and hands them over in log order.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tenaudit.audit.integrity.canonical import canonical_json
from tenaudit.audit.integrity.checkpoint import Checkpoint, CheckpointError
from tenaudit.audit.integrity.merkle import CompactRange, leaf_hash
from tenaudit.audit.integrity.subtree_check import SubtreeCheck
from tenaudit.audit.ports import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from tenaudit.audit.integrity.merkle import Subtree
    from tenaudit.audit.retention.history import RetentionHistory

__all__ = ["LoggedLeaf", "SealedRoot", "event_leaf", "find_problems", "roots_of", "seal_link", "whole_checkpoints"]

_RUN = 1024


def roots_of(stored: Iterable[Mapping[str, Any]], signed: Iterable[Checkpoint]) -> list[SealedRoot]:
    """Return the roots that a log must have had, by size: those in the store, and those that were kept elsewhere."""
    roots = {SealedRoot(row["size"], row["root"]) for row in stored}
    roots.update(SealedRoot(checkpoint.size, checkpoint.root) for checkpoint in signed)
    return sorted(roots, key=lambda one: (one.size, one.root))


def whole_checkpoints(rows: Iterable[tuple[str, int, bytes]]) -> tuple[Checkpoint, ...]:
    """Return the checkpoints that origins, sizes and roots are; a row that was broken is none, and keeps no other."""
    found = []
    for row in rows:
        with suppress(CheckpointError, TypeError):
            found.append(Checkpoint(*row))
    return tuple(found)


def event_leaf(record: Mapping[str, Any]) -> bytes:
    """Return the leaf hash of an event's wire form: RFC 9162 section 2.1.1 over RFC 8785 JSON."""
    return leaf_hash(canonical_json(record))


def seal_link(previous: bytes, body: str, sealed_at: str) -> bytes:
    """Return the hash that binds a checkpoint to all before it, so that none can be taken out or dated anew."""
    data = body.encode("utf-8", "surrogateescape") + b"\x00" + sealed_at.encode("utf-8", "surrogateescape")
    return hashlib.sha256(previous + hashlib.sha256(data).digest()).digest()


class LoggedLeaf(NamedTuple):
    """One place of a tenant's log as the store holds it now.

    Attributes:
        place: where it is in the log, from 0.
        event_id: the event it was given to.
        stored: the leaf hash written when the event arrived.
        actual: the leaf hash of the event row as it is now, None when there is no row.
        erased: the places of the event of which the row has only the hash.
    """

    place: int
    event_id: UUID | str
    stored: bytes
    actual: bytes | None
    erased: frozenset[str] = frozenset()


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
    frontier: Sequence[bytes] | None = None,
    history: RetentionHistory | None = None,
    subtrees: Iterable[Subtree] = (),
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
        frontier: the hashes that the store keeps for the next append, None when it keeps none.
        history: what purges took, None when there never was one.
        subtrees: the roots of complete subtrees that the store keeps for proofs.
    """
    if history is not None:
        yield from history.problems
    walk = _Walk(tenant_id, sealed, size, history)
    found = 0
    for problem in walk.through(leaves, strangers):
        found += 1
        yield problem
    # Past a gap or a broken hash every root is another one, and the gap has been reported.
    if not found:
        yield from walk.roots.problems(tenant_id, frontier)
        for detail in walk.roots.subtrees.wrong(subtrees):
            yield Problem(tenant_id, None, "subtree", detail)


class _Walk:
    """One walk along a log, which knows where it is and what it has seen."""

    def __init__(
        self, tenant_id: UUID | str, sealed: Sequence[SealedRoot], size: int, history: RetentionHistory | None
    ) -> None:
        self.roots = _Roots(sealed)
        self._history = history
        self._tenant_id = tenant_id
        self._size = size
        self._known_size = max(size, sealed[-1].size if sealed else 0)
        self._expected = 0
        self._past: LoggedLeaf | None = None

    def through(self, leaves: Iterable[LoggedLeaf], strangers: Iterable[UUID | str]) -> Iterator[Problem]:
        """Yield what is wrong with the places, the events and the length of the log."""
        history = self._history
        for leaf in leaves:
            # Almost all are what they should be, and a generator for each would cost more than all that is looked at.
            if (
                leaf.place == self._expected
                and leaf.place < self._size
                and leaf.actual == leaf.stored
                and (
                    not leaf.erased
                    if history is None
                    else not history.covers(leaf.place) and history.erased_at(leaf.place) == leaf.erased
                )
            ):
                self._expected += 1
                self.roots.add(leaf.stored)
            else:
                yield from self._step(leaf)
        for event_id in strangers:
            yield Problem(self._tenant_id, event_id, "inserted", "the event has no place in the log")
        if self._past is not None:
            detail = f"the log's size is {self._size}, and the event lies past it"
            yield Problem(self._tenant_id, self._past.event_id, "inserted", detail)
        if self._expected < self._known_size:
            detail = f"the log ends at {self._expected} and had {self._known_size} entries"
            yield Problem(self._tenant_id, None, "truncated", detail)

    def _step(self, leaf: LoggedLeaf) -> Iterator[Problem]:
        purged = self._history is not None and self._history.covers(leaf.place)
        told = _purged_problem if purged else self._row_problem
        for problem in (_place_problem(self._tenant_id, leaf, self._expected), told(self._tenant_id, leaf)):
            if problem is not None:
                yield problem
        self._expected = leaf.place + 1
        if self._past is None and leaf.place >= self._size:
            self._past = leaf
        self.roots.add(leaf.stored)

    def _row_problem(self, tenant_id: UUID | str, leaf: LoggedLeaf) -> Problem | None:
        recorded = frozenset() if self._history is None else self._history.erased_at(leaf.place)
        found = _leaf_problem(tenant_id, leaf)
        if found is not None or leaf.erased == recorded:
            return found
        where = ", ".join(sorted(leaf.erased ^ recorded))
        if leaf.erased - recorded:
            detail = f"the event at index {leaf.place} was erased at {where}, and no record tells of it"
        else:
            detail = f"the event at index {leaf.place} is back at {where}, where it was erased"
        return Problem(tenant_id, leaf.event_id, "erasure", detail)


def _place_problem(tenant_id: UUID | str, leaf: LoggedLeaf, expected: int) -> Problem | None:
    if leaf.place > expected:
        return Problem(tenant_id, None, "missing", f"the log has no entries from {expected} to {leaf.place - 1}")
    if leaf.place < expected:
        return Problem(tenant_id, leaf.event_id, "inserted", f"the log has an entry at {leaf.place}, before its start")
    return None


def _leaf_problem(tenant_id: UUID | str, leaf: LoggedLeaf) -> Problem | None:
    if leaf.actual is None:
        return Problem(tenant_id, leaf.event_id, "missing", f"the event at index {leaf.place} is gone")
    if leaf.actual != leaf.stored:
        return Problem(tenant_id, leaf.event_id, "changed", f"the event at index {leaf.place} was altered")
    return None


def _purged_problem(tenant_id: UUID | str, leaf: LoggedLeaf) -> Problem | None:
    if leaf.actual is None:
        return None
    return Problem(tenant_id, leaf.event_id, "inserted", f"the event at index {leaf.place} was purged, and is back")


class _Roots:
    """Grows the tree and holds its root against each checkpoint; leaves are added in runs, which is cheaper."""

    def __init__(self, sealed: Sequence[SealedRoot]) -> None:
        self._due = list(reversed(sealed))
        self._tree = CompactRange()
        self._run: list[bytes] = []
        self._right = 0
        self._wrong: int | None = None
        self.subtrees = SubtreeCheck()

    def add(self, stored: bytes) -> None:
        self._run.append(stored)
        size = self._tree.size + len(self._run)
        if len(self._run) >= _RUN or (self._due and self._due[-1].size <= size):
            self._grow()

    def problems(self, tenant_id: UUID | str, frontier: Sequence[bytes] | None) -> Iterator[Problem]:
        """Yield the first checkpoint whose root is another one, and a frontier that is not the tree's."""
        self._grow()
        if self._wrong is not None:
            detail = f"the entries {self._right} to {self._wrong - 1} are not those of the checkpoint at {self._wrong}"
            yield Problem(tenant_id, None, "checkpoint", detail)
        if frontier is not None and tuple(frontier) != self._tree.hashes:
            detail = f"the entries {self._right} to {self._tree.size - 1} are not those of the log's frontier"
            yield Problem(tenant_id, None, "checkpoint", detail)

    def _grow(self) -> None:
        self._tree, completed = self._tree.grown(self._run)
        self.subtrees.expect(completed)
        self._run.clear()
        self._compare()

    def _compare(self) -> None:
        while self._due and self._due[-1].size <= self._tree.size:
            due = self._due.pop()
            if self._wrong is not None:
                continue
            if due.size != self._tree.size or due.root != self._tree.root():
                self._wrong = due.size
            else:
                self._right = due.size
