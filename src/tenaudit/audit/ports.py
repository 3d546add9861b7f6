"""What the audit core asks of the outside: a place to put events and a place to query them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self
from uuid import UUID

from tenaudit._kernel.error import ConfigurationError, TenauditError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.integrity.checkpoint import Checkpoint
    from tenaudit.audit.query import AuditQuery

__all__ = [
    "AppendResult",
    "Page",
    "Problem",
    "Sink",
    "SinkRejected",
    "SinkUnavailable",
    "Store",
    "StoreError",
    "VerifyPart",
    "VerifyReport",
]


class SinkUnavailable(TenauditError):  # noqa: N818 - contract name
    """The sink cannot take events now; the same batch may be tried again."""


class SinkRejected(TenauditError):  # noqa: N818 - contract name
    """The sink will never take these events; the rest of the batch was not written.

    Args:
        event_ids: the events that it refuses.
        reason: why, as one stable word.
    """

    def __init__(self, event_ids: Sequence[UUID], reason: str = "rejected") -> None:
        super().__init__(f"the sink refuses {len(event_ids) or 'some'} events: {reason}")
        self.event_ids = frozenset(event_ids)
        self.reason = reason

    @classmethod
    def of(cls, events: Iterable[AuditEvent], reason: str) -> Self:
        """Return the refusal of *events*; one that nobody validated may have no id to be named by."""
        ids = (getattr(event, "event_id", None) for event in events)
        return cls([event_id for event_id in ids if isinstance(event_id, UUID)], reason)


class StoreError(TenauditError):
    """The store failed; the message names it and what it said."""


class AppendResult(NamedTuple):
    """What became of a batch: every event is exactly one of these."""

    stored: int
    duplicates: int
    conflicts: int
    expired: int


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search; a cursor is None only at the true end."""

    events: tuple[AuditEvent, ...]
    next_cursor: str | None
    prev_cursor: str | None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that verification found.

    Args:
        tenant_id: whose log it is in; the raw text where tampering left no UUID.
        event_id: the event it is about, None when no event can be named.
        kind: `changed`, `missing`, `inserted`, `truncated`, `checkpoint`, `subtree`, `purge` or `erasure`.
        detail: one sentence for a person.
    """

    tenant_id: UUID | str
    event_id: UUID | str | None
    kind: str
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        event_id = None if self.event_id is None else str(self.event_id)
        return {"tenant_id": str(self.tenant_id), "event_id": event_id, "kind": self.kind, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The result of checking a store: verified only when nothing at all was found."""

    events: int
    tenants: int
    problems: tuple[Problem, ...]

    @property
    def verified(self) -> bool:
        """Whether every event is as it was sealed."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return `{"verified", "events", "tenants", "problems"}`."""
        problems = [problem.to_json() for problem in self.problems]
        return {"verified": self.verified, "events": self.events, "tenants": self.tenants, "problems": problems}


@dataclass(frozen=True, slots=True)
class VerifyPart:
    """One of several parts of a verification, each of which checks some tenants: every tenant is in exactly one.

    Args:
        number: which, from 1.
        of: how many there are.

    Raises:
        ConfigurationError: there is no such part.

    Example:
        >>> from uuid import UUID
        >>> [VerifyPart(number, 3).has(UUID(int=5)) for number in (1, 2, 3)].count(True)
        1
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ConfigurationError(f"part must be one of 1 to {self.of}, and not {self.number}")

    def has(self, tenant_id: UUID | str) -> bool:
        """Tell whether a tenant is in it; tampering may have left any text for one."""
        # Not by its place among the others, for one may come in meanwhile.
        return zlib.crc32(str(tenant_id).encode("utf-8", "surrogateescape")) % self.of == self.number - 1


class Sink(Protocol):
    """Where a producer puts events."""

    async def write(self, batch: Sequence[AuditEvent]) -> None:
        """Take the whole batch or none; raise `SinkUnavailable` (try again) or `SinkRejected` (never)."""
        ...

    async def close(self) -> None:
        """Release what the sink itself opened; a second call does nothing."""
        ...


class Store(Protocol):
    """The read model that queries run on, and the log that proves it."""

    async def append(self, events: Sequence[AuditEvent]) -> AppendResult:
        """Store each event once and give it its place in the tenant's log; `SinkRejected` for what never can be."""
        ...

    async def search(self, query: AuditQuery) -> Page:
        """Return one page of the query's tenant, never of another."""
        ...

    async def get(self, tenant_id: UUID, event_id: UUID) -> AuditEvent | None:
        """Return one event of the tenant, or None."""
        ...

    async def tenants(self) -> tuple[UUID, ...]:
        """Return every tenant that has a log, in order."""
        ...

    async def seal(self, tenant_id: UUID | None = None) -> tuple[Checkpoint, ...]:
        """Write a checkpoint for each tenant whose tree has grown, and return the new ones."""
        ...

    async def tips(self) -> tuple[Checkpoint, ...]:
        """Return the newest checkpoint of each tenant that has one, in the order of the tenants."""
        ...

    async def verify(
        self,
        tenant_id: UUID | None = None,
        *,
        signed: Mapping[UUID, Sequence[Checkpoint]] | None = None,
        part: VerifyPart | None = None,
    ) -> VerifyReport:
        """Recompute everything and report what does not fit, checkpoints that were kept elsewhere among it.

        Args:
            tenant_id: whose log only, None for all.
            signed: checkpoints by tenant that the logs must have had.
            part: which tenants, if not all.
        """
        ...

    async def close(self) -> None:
        """Release connections and threads; a second call does nothing."""
        ...
