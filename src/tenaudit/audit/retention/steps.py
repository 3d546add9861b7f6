"""What a purge asks of a store: single steps, each whole or not at all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenaudit.audit.ports import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.retention.ranges import Range
    from tenaudit.audit.retention.records import Removal
    from tenaudit.audit.retention.terms import RetentionSettings

__all__ = [
    "AlteredEvent",
    "DamagedLog",
    "OldEvent",
    "PartitionRows",
    "PurgeBusy",
    "PurgeSteps",
    "TermsChanged",
    "WholePartition",
]


class PurgeBusy(StoreError):  # noqa: N818 - a state, as SinkUnavailable is
    """Another purge of the same store is running; the next one goes on where that one stops."""


class TermsChanged(StoreError):  # noqa: N818 - a state, as SinkUnavailable is
    """The period or the hold of a tenant was changed while its events were about to go; none of the step went."""


class AlteredEvent(StoreError):  # noqa: N818 - a state, as SinkUnavailable is
    """An event that is to be archived is not the one that was logged; it stays for `verify` to name."""


class DamagedLog(StoreError):  # noqa: N818 - a state, as SinkUnavailable is
    """The head of a tenant's log was tampered with: it takes no event, so no record of a purge either."""

    def __init__(self, tenant_id: UUID | str) -> None:
        super().__init__(f"the log of tenant {tenant_id} is damaged and takes no more; verify the store")


@dataclass(frozen=True, slots=True)
class OldEvent:
    """An event that may go.

    Args:
        index: its place in the log.
        event_id: which it is.
        occurred_at: when it happened.
        event: all of it, None where nobody archives it.
    """

    index: int
    event_id: UUID
    occurred_at: datetime
    event: AuditEvent | None = None


@dataclass(frozen=True, slots=True)
class PartitionRows:
    """What a partition holds of one tenant: places in the log, how many, the newest, and the log's size then."""

    ranges: tuple[Range, ...]
    newest: datetime
    size: int


@dataclass(frozen=True, slots=True)
class WholePartition:
    """A partition of which every row may go.

    Args:
        name: the table.
        month: `YYYY-MM`.
        tenants: whose rows it holds.
    """

    name: str
    month: str
    tenants: Mapping[UUID, PartitionRows]


class PurgeSteps(ABC):
    """The steps of one purge. Each is a transaction of its own, so that a purge may die behind any of them."""

    @abstractmethod
    async def settings(self) -> RetentionSettings:
        """Return the default period and what is known of each tenant."""

    @abstractmethod
    async def count(self, tenant_id: UUID, before: datetime) -> int:
        """Return how many events of a tenant occurred before a time."""

    @abstractmethod
    async def old_events(self, tenant_id: UUID, before: datetime, limit: int, *, whole: bool) -> Sequence[OldEvent]:
        """Return events that occurred before a time, in the order of the log.

        Args:
            tenant_id: whose.
            before: the time.
            limit: most of them.
            whole: whether all of an event is asked for; one that does not fit its leaf is then refused.

        Raises:
            AlteredEvent: an event was altered, so that an archive of it would prove nothing.
        """

    @abstractmethod
    async def remove(self, tenant_id: UUID, events: Sequence[OldEvent], removal: Removal) -> None:
        """Delete events and write the record of it into the tenant's log, both or neither.

        Raises:
            TermsChanged: the tenant is held now, or its period is another one.
        """

    @abstractmethod
    async def remove_conflicts(self, tenant_id: UUID, before: datetime) -> int:
        """Delete kept second contents that occurred before a time, and return how many went."""

    async def partitions(self, befores: Mapping[UUID, datetime]) -> AsyncIterator[WholePartition]:
        """Yield partitions in which no tenant has anything else than what is older than its time; by default none."""
        for partition in _no_partitions(befores):
            yield partition

    async def partition_events(
        self, partition: WholePartition, tenant_id: UUID, after: int, limit: int
    ) -> Sequence[OldEvent]:
        """Return whole events of one tenant in a partition behind a place of its log; by default none."""
        del partition, tenant_id, after, limit
        return ()

    async def drop(self, partition: WholePartition, removals: Mapping[UUID, Sequence[Removal]]) -> bool:
        """Drop a partition and write the records of it into the logs; False when it was not done."""
        del partition, removals
        return False


def _no_partitions(_befores: Mapping[UUID, datetime]) -> tuple[WholePartition, ...]:
    return ()
