"""What an erasure asks of a store: single steps, each whole or not at all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenaudit.audit.ports import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from tenaudit.audit.erasure.subject import StoredEvent

__all__ = ["ErasureHeld", "ErasureSteps", "Found", "Mentions"]


class ErasureHeld(StoreError):  # noqa: N818 - a state, as PurgeBusy is
    """The tenant is under a legal hold, which keeps everything; release it first, if the law lets you."""

    def __init__(self, tenant_id: UUID) -> None:
        super().__init__(f"tenant {tenant_id} is held: nothing of it is erased; tenaudit audit hold list says by whom")


@dataclass(frozen=True, slots=True)
class Found:
    """One part of a tenant's events, searched for a person.

    Args:
        ids: the events that mention them.
        reached: where the next part begins, None at the end.
    """

    ids: tuple[UUID, ...]
    reached: UUID | None


@dataclass(frozen=True, slots=True)
class Mentions:
    """Where else a store mentions a person.

    Args:
        rows: how many rows that can go, by what they are.
        records: records of purges, holds and erasures, which prove the log and stay.
        archives: files that purges wrote the tenant's events to.
        letters: dead letters beyond *rows* that hold the name's bytes, whoever's they are.
        held: whether the tenant is under a legal hold.
    """

    rows: Mapping[str, int]
    records: int
    archives: tuple[str, ...]
    letters: int
    held: bool


class ErasureSteps(ABC):
    """The steps of one erasure of one person in one tenant's trail.

    Each is a transaction of its own, so that an erasure may die behind any of them.
    """

    @abstractmethod
    async def scan(self, after: UUID | None) -> Found:
        """Return the next events that mention the person, by their ids."""

    @abstractmethod
    async def read(self, ids: Sequence[UUID]) -> Sequence[StoredEvent]:
        """Return events as they are; one that does not fit its leaf without what it says."""

    @abstractmethod
    async def erase(self, ids: Sequence[UUID]) -> tuple[int, int]:
        """Erase values and write the record of it into the log, both or neither; return how many events and values.

        Raises:
            ErasureHeld: the tenant is held.
        """

    @abstractmethod
    async def mentions(self) -> Mentions:
        """Return where else the person is mentioned, and whether anything may go at all."""

    @abstractmethod
    async def remove_others(self) -> Mapping[str, int]:
        """Delete the rows beside the log that mention the person, and write the record of it; return how many went.

        Raises:
            ErasureHeld: the tenant is held.
        """

    @abstractmethod
    async def finish(self) -> bool:
        """Have the store forget what it keeps of the old bytes; tell whether somebody kept it from that."""
