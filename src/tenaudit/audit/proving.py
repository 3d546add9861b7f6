"""How a proof is made of what a store keeps.

Rules of this file: pure; what a store has to read is asked for by generators, which a store with threads and one with
coroutines answer alike. No proof leaves here that does not lead to the checkpoint it is for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from tenaudit.audit.integrity.checkpoint import Checkpoint, CheckpointError
from tenaudit.audit.integrity.commitments import openings_of
from tenaudit.audit.integrity.merkle import MerkleError
from tenaudit.audit.integrity.proof import consistency_spans, inclusion_spans
from tenaudit.audit.integrity.subtrees import span_roots
from tenaudit.audit.ports import StoreError
from tenaudit.audit.proofs import (
    BrokenProof,
    ConsistencyProof,
    EventProofs,
    InclusionProof,
    NotSealed,
    UnknownEvent,
    UnknownSize,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from uuid import UUID

    from tenaudit.audit.integrity.commitments import Openings
    from tenaudit.audit.integrity.subtrees import HashRange

__all__ = [
    "Ask",
    "LeafOf",
    "LeavesOf",
    "ProvesFromHashes",
    "SealedAt",
    "kept_checkpoint",
    "kept_openings_of",
    "proven_consistency",
    "proven_event",
    "proven_events",
    "sealed_checkpoint",
]

_T = TypeVar("_T")


class ProvesFromHashes(ABC):
    """The calls of `Proves`, for a store that can answer what the proofs ask for."""

    @abstractmethod
    async def _prove(self, tenant_id: UUID, work: Generator[Ask, Any, _T]) -> _T:
        """Answer what *work* asks of one tenant, all from one snapshot, and return its result."""

    async def checkpoint(self, tenant_id: UUID, size: int | None = None) -> Checkpoint:
        """Return the checkpoint of the tenant's log at a size, the newest when None; see `Proves`."""
        return await self._prove(tenant_id, sealed_checkpoint(size))

    async def prove_event(self, tenant_id: UUID, event_id: UUID, size: int | None = None) -> InclusionProof:
        """Return the proof that an event is in the log, at a sealed size or the newest; see `Proves`."""
        return await self._prove(tenant_id, proven_event(event_id, size))

    async def prove_events(self, tenant_id: UUID, event_ids: Sequence[UUID], size: int | None = None) -> EventProofs:
        """Return the proofs of several events at once; see `Proves`."""
        return await self._prove(tenant_id, proven_events(event_ids, size))

    async def prove_growth(self, tenant_id: UUID, first: int, second: int | None = None) -> ConsistencyProof:
        """Return the proof that the log at *second* extends what it was at *first*; see `Proves`."""
        return await self._prove(tenant_id, proven_consistency(first, second))


class SealedAt(NamedTuple):
    """Asks for the checkpoint at a size, the newest when None: a `Checkpoint` or None."""

    size: int | None


class LeavesOf(NamedTuple):
    """Asks for the places of events that have a row: a sequence of `LeafOf`."""

    event_ids: Sequence[UUID]


class LeafOf(NamedTuple):
    """Where an event stands, and what opens the hashes that its leaf commits to."""

    event_id: UUID
    place: int
    leaf: bytes
    openings: Openings


Ask: TypeAlias = "SealedAt | LeavesOf | Sequence[HashRange]"
"""What is asked of a store. Ranges are answered by `StoredHashes`, without those that are not there."""


def sealed_checkpoint(size: int | None, name: str = "size") -> Generator[Ask, Any, Checkpoint]:
    """Return the checkpoint at a size, the newest when None; see `Proves.checkpoint`."""
    newest: Checkpoint | None = yield SealedAt(None)
    if newest is None:
        raise NotSealed("the log has no checkpoint yet", name)
    if size is None or size == newest.size:
        return newest
    if size > newest.size:
        raise NotSealed(f"the newest checkpoint is at {newest.size}", name)
    at: Checkpoint | None = (yield SealedAt(size)) if size > 0 else None
    if at is None:
        raise UnknownSize("the log has no checkpoint at this size", name)
    return at


def proven_events(event_ids: Sequence[UUID], size: int | None) -> Generator[Ask, Any, EventProofs]:
    """Return the proofs of events; see `Proves.prove_events`."""
    checkpoint = yield from sealed_checkpoint(size)
    leaves: Sequence[LeafOf] = yield LeavesOf(event_ids)
    covered = [one for one in leaves if one.place < checkpoint.size]
    spans = {one.place: inclusion_spans(one.place, checkpoint.size) for one in covered}
    roots = yield from _roots({span for several in spans.values() for span in several}, checkpoint)
    proofs = {
        one.event_id: InclusionProof(
            one.place, one.leaf, tuple(roots[span] for span in spans[one.place]), checkpoint, one.openings
        )
        for one in covered
    }
    if not all(proof.holds() for proof in proofs.values()):
        raise BrokenProof(checkpoint)
    return EventProofs(checkpoint, proofs, frozenset(one.event_id for one in leaves).difference(proofs))


def proven_event(event_id: UUID, size: int | None) -> Generator[Ask, Any, InclusionProof]:
    """Return the proof of one event; see `Proves.prove_event`."""
    found = yield from proven_events([event_id], size)
    if event_id in found.uncovered:
        raise NotSealed(f"the checkpoint at {found.checkpoint.size} does not cover it", "event_id")
    if event_id not in found.proofs:
        raise UnknownEvent("the log has no such event", "event_id")
    return found.proofs[event_id]


def proven_consistency(first: int, second: int | None) -> Generator[Ask, Any, ConsistencyProof]:
    """Return the proof that a log only grew; see `Proves.prove_growth`."""
    later = yield from sealed_checkpoint(second, "second")
    if first > later.size:
        raise UnknownSize(f"is larger than second, which is {later.size}", "first")
    earlier = yield from sealed_checkpoint(first, "first")
    spans = consistency_spans(earlier.size, later.size)
    roots = yield from _roots(set(spans), later)
    proof = ConsistencyProof(earlier, later, tuple(roots[span] for span in spans))
    if not proof.holds():
        raise BrokenProof(later)
    return proof


def kept_openings_of(event_id: UUID, salts: bytes | None, commitments: str | None) -> Openings:
    """Return the openings of a row.

    Raises:
        StoreError: the row was altered.
    """
    try:
        return openings_of(salts, commitments)
    except (ValueError, TypeError, RecursionError):
        raise StoreError(f"event {event_id} was altered; verify the store") from None


def kept_checkpoint(origin: str, size: int, root: bytes) -> Checkpoint:
    """Return the checkpoint of a row.

    Raises:
        StoreError: the row was altered.
    """
    try:
        return Checkpoint(origin, size, root)
    except (CheckpointError, TypeError):
        raise StoreError(f"a checkpoint of {origin} was altered; verify the store") from None


def _roots(spans: set[tuple[int, int]], checkpoint: Checkpoint) -> Generator[Ask, Any, dict[tuple[int, int], bytes]]:
    try:
        return (yield from span_roots(spans))
    except MerkleError:
        raise BrokenProof(checkpoint) from None
