"""Proofs out of a store: that an event is in its tenant's log, and that the log only grew."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from tenaudit._kernel.error import TenauditError
from tenaudit.audit.integrity.exported_leaf import exported_openings
from tenaudit.audit.integrity.proof import verify_consistency, verify_inclusion
from tenaudit.audit.ports import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from tenaudit.audit.integrity.checkpoint import Checkpoint
    from tenaudit.audit.integrity.commitments import Openings

__all__ = [
    "BrokenProof",
    "ConsistencyProof",
    "EventProofs",
    "InclusionProof",
    "NotSealed",
    "ProofError",
    "Proves",
    "UnknownEvent",
    "UnknownSize",
    "base64_text",
]


class ProofError(TenauditError):
    """There is no such proof.

    Args:
        message: why not.
        field: the argument that it is about.
    """

    code = "no_proof"

    def __init__(self, message: str, field: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class UnknownEvent(ProofError):  # noqa: N818 - what it is, as NotSealed
    """The tenant has no such event."""

    code = "unknown_event"


class UnknownSize(ProofError):  # noqa: N818 - what it is, as NotSealed
    """The log was never sealed at that size."""

    code = "unknown_size"


class NotSealed(ProofError):  # noqa: N818 - a state, as SinkUnavailable is
    """No checkpoint covers it yet; the next one will."""

    code = "not_sealed"


class BrokenProof(StoreError):  # noqa: N818 - a state, as SinkUnavailable is
    """Hashes of a log no longer lead to its checkpoint: somebody altered them, and `verify` says which."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(
            f"the hashes of {checkpoint.origin} do not lead to its checkpoint at {checkpoint.size}; verify it"
        )


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That an event stands in the log that a checkpoint is of (RFC 9162, section 2.1.3).

    Example:
        >>> from tenaudit.audit.integrity import Checkpoint, leaf_hash, root_of
        >>> leaves = [leaf_hash(b"a"), leaf_hash(b"b")]
        >>> proof = InclusionProof(1, leaves[1], (leaves[0],), Checkpoint("logs.example/a", 2, root_of(leaves)))
        >>> proof.holds()
        True

    Attributes:
        index: its place in the log, from 0.
        leaf: hash of the event.
        path: hashes from the leaf up.
        checkpoint: where they lead; its text is a leaf of the log of all logs, which is signed.
        openings: what opens the hashes that the leaf commits to, see `tenaudit.audit.integrity.commitments`.
    """

    index: int
    leaf: bytes
    path: tuple[bytes, ...]
    checkpoint: Checkpoint
    openings: Openings = field(default_factory=dict)

    def holds(self) -> bool:
        """Tell whether the path leads from the leaf to the checkpoint's root."""
        return verify_inclusion(self.leaf, self.index, self.checkpoint.size, self.path, self.checkpoint.root)

    def to_json(self) -> dict[str, Any]:
        """Return `{"index", "size", "leaf_hash", "path", "checkpoint", "openings"}`, hashes of the tree in base64."""
        return {
            "index": self.index,
            "size": self.checkpoint.size,
            "leaf_hash": base64_text(self.leaf),
            "path": [base64_text(one) for one in self.path],
            "checkpoint": self.checkpoint.body(),
            "openings": exported_openings(self.openings),
        }


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That a log at one checkpoint begins with all that it had at an earlier one (RFC 9162, section 2.1.4).

    Example:
        >>> from tenaudit.audit.integrity import Checkpoint
        >>> tip = Checkpoint("logs.example/a", 2, bytes(32))
        >>> ConsistencyProof(tip, tip, ()).holds()
        True

    Attributes:
        first: the earlier checkpoint.
        second: the later one, or the same.
        path: hashes that lead to both roots.
    """

    first: Checkpoint
    second: Checkpoint
    path: tuple[bytes, ...]

    def holds(self) -> bool:
        """Tell whether the path leads to both roots."""
        first, second = self.first, self.second
        return verify_consistency(first.size, second.size, self.path, first.root, second.root)

    def to_json(self) -> dict[str, Any]:
        """Return `{"first", "second", "path", "checkpoints"}`, hashes in base64, the earlier checkpoint first."""
        return {
            "first": self.first.size,
            "second": self.second.size,
            "path": [base64_text(one) for one in self.path],
            "checkpoints": [self.first.body(), self.second.body()],
        }


@dataclass(frozen=True, slots=True)
class EventProofs:
    """The proofs of several events; an event that is in neither part is not in the log.

    Example:
        >>> from tenaudit.audit.integrity import Checkpoint
        >>> len(EventProofs(Checkpoint("logs.example/a", 2, bytes(32))).proofs)
        0

    Attributes:
        checkpoint: what all of them lead to.
        proofs: by event.
        uncovered: events that the log has behind the checkpoint.
    """

    checkpoint: Checkpoint
    proofs: Mapping[UUID, InclusionProof] = field(default_factory=dict)
    uncovered: frozenset[UUID] = frozenset()


@runtime_checkable
class Proves(Protocol):
    """What a store may offer beside `Store`: proofs out of the hashes that it keeps.

    Example:
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> isinstance(SqliteStore.open("audit.db"), Proves)
        True
    """

    async def checkpoint(self, tenant_id: UUID, size: int | None = None) -> Checkpoint:
        """Return the checkpoint of the tenant's log at a size, the newest when None.

        Raises:
            NotSealed: there is none yet, or *size* is beyond the newest.
            UnknownSize: the log was never sealed at *size*.
        """
        ...

    async def prove_event(self, tenant_id: UUID, event_id: UUID, size: int | None = None) -> InclusionProof:
        """Return the proof that an event is in the log, at a sealed size or the newest.

        Raises:
            UnknownEvent: the tenant has no such event.
            NotSealed: no checkpoint covers it yet, or *size* is beyond the newest.
            UnknownSize: the log was never sealed at *size*.
        """
        ...

    async def prove_events(self, tenant_id: UUID, event_ids: Sequence[UUID], size: int | None = None) -> EventProofs:
        """Return the proofs of several events at once, which costs far less than one after the other.

        Raises:
            NotSealed: there is no checkpoint yet, or *size* is beyond the newest.
            UnknownSize: the log was never sealed at *size*.
        """
        ...

    async def prove_growth(self, tenant_id: UUID, first: int, second: int | None = None) -> ConsistencyProof:
        """Return the proof that the log at a sealed size, the newest when None, extends what it was at *first*.

        Raises:
            NotSealed: a size is beyond the newest checkpoint.
            UnknownSize: the log was never sealed at a size, or *first* is larger than *second*.
        """
        ...


def base64_text(raw: bytes) -> str:
    """Return bytes in base64, as hashes stand in checkpoints.

    >>> base64_text(bytes(3))
    'AAAA'
    """
    return base64.b64encode(raw).decode("ascii")
