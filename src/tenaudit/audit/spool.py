"""The port of a spool: where events wait on disk while the sink cannot take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from tenaudit._kernel.error import TenauditError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.audit.event import AuditEvent

__all__ = ["Spool", "SpoolBatch", "SpoolError", "SpoolFull", "SpoolStats"]


class SpoolError(TenauditError):
    """The spool could not do it now; what it acknowledged before is still there.

    Attributes:
        code: stable word for logs and metrics.
    """

    code = "spool_failed"


class SpoolFull(SpoolError):  # noqa: N818 - named beside SinkUnavailable and SinkRejected
    """The spool has no room, or its disk has not; nothing of the batch was written."""

    code = "spool_full"


class SpoolStats(NamedTuple):
    """What a spool holds.

    Attributes:
        records: events that wait in it; damage that was not read yet still counts here.
        bytes: size of its files.
        oldest_age: seconds since its oldest event was emitted, 0 when it is empty.
        lost: events that it had acknowledged and cannot give back, in all, over every restart.
        quarantined: damaged files that it set aside for a person to look at.
    """

    records: int
    bytes: int
    oldest_age: float
    lost: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class SpoolBatch:
    """The oldest events of a spool, and the token that removes them.

    Example:
        >>> bool(SpoolBatch((), None))
        False
    """

    events: tuple[AuditEvent, ...]
    token: object

    def __bool__(self) -> bool:
        return bool(self.events)


@runtime_checkable
class Spool(Protocol):
    """A queue on disk with one owner: it gives back what it took, in order, at least once."""

    async def append(self, events: Sequence[AuditEvent]) -> None:
        """Return once all are on disk; raise `SpoolFull`, `SpoolError` or `SinkRejected`, with none acknowledged."""
        ...

    async def read(self, limit: int) -> SpoolBatch:
        """Return the oldest events that were not acknowledged; empty only when there are none left."""
        ...

    async def ack(self, token: object) -> None:
        """Remove the events of a batch; works on a full disk, and a second call does nothing."""
        ...

    def stats(self) -> SpoolStats:
        """Return what it holds, without I/O, from whatever thread."""
        ...

    async def close(self) -> None:
        """Release files and lock; a second call does nothing."""
        ...
