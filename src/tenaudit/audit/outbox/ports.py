"""What the relay asks of an outbox table, and what may go wrong there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from tenaudit._kernel.error import TenauditError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tenaudit.audit.event import AuditEvent

__all__ = ["Backlog", "Lease", "LeaseLost", "OutboxError", "OutboxSource", "OutboxUnavailable", "TakenEntry"]


class OutboxError(TenauditError):
    """An event could not be written into the outbox; let the transaction fail, and the event goes with it.

    Attributes:
        code: `no_transaction`, `outbox_missing`, `deadline_exceeded` or `write_failed`.
        sqlstate: what PostgreSQL calls the failure, for whoever repeats a transaction on 40001; else None.
    """

    def __init__(self, code: str, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.sqlstate = sqlstate


class OutboxUnavailable(TenauditError):  # noqa: N818 - as SinkUnavailable
    """The outbox cannot be read now; what is in it stays."""


class LeaseLost(TenauditError):  # noqa: N818 - as SinkUnavailable
    """Another relay has this shard by now; nothing was changed."""


class Lease(NamedTuple):
    """A shard held for a while; the epoch rises with every claim, so an old holder is told from the new one."""

    shard: int
    epoch: int


class TakenEntry(NamedTuple):
    """One entry as the relay reads it; `event` is None when its text is no event."""

    position: int
    event: AuditEvent | None


class Backlog(NamedTuple):
    """What waits: how many events, counted up to a bound, and how many seconds the oldest has waited."""

    entries: int
    oldest_age: float


class OutboxSource(Protocol):
    """The table that a relay empties; every call has a deadline and raises `OutboxUnavailable` when it fails."""

    @property
    def lease_seconds(self) -> float:
        """How long a claim holds without being renewed."""
        ...

    async def claim(self) -> Lease | None:
        """Hold the shard with entries that was served longest ago and that nobody holds; None when there is none."""
        ...

    async def read(self, lease: Lease, limit: int, max_bytes: int) -> Sequence[TakenEntry]:
        """Return the oldest entries in order, at least one if there is any; none when the lease is lost."""
        ...

    async def settle(self, lease: Lease, delivered: Sequence[int], dead: Mapping[int, str]) -> None:
        """Delete what the sink has, move *dead* aside with its reasons, renew the lease; none of it on `LeaseLost`."""
        ...

    async def release(self, lease: Lease) -> None:
        """Let others have the shard at once; nothing happens when the lease is lost."""
        ...

    async def backlog(self) -> Backlog:
        """Look at what waits."""
        ...

    async def close(self) -> None:
        """Release connections and threads; a second call does nothing."""
        ...
