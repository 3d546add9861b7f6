"""What a caller of `emit` gets back, and what it may catch."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from tenaudit._kernel.error import TenauditError

__all__ = ["DeliveryUnknown", "EmitRejected", "EmitResult", "ProducerStats"]


class EmitResult:
    """What became of one call of `emit`.

    Attributes:
        status: `accepted`, `spooled`, `dropped` or `rejected`.
        reason: a stable code for `dropped` and `rejected`, else None.

    Example:
        >>> EmitResult("rejected", "no_context").event_id is None
        True
    """

    __slots__ = ("_event_id", "reason", "status")

    def __init__(self, status: str, reason: str | None = None, event_id: int | None = None) -> None:
        self.status = status
        self.reason = reason
        self._event_id = event_id

    @property
    def event_id(self) -> UUID | None:
        """The event's id; None when it was rejected. The object is built here, not on the request path."""
        return None if self._event_id is None else UUID(int=self._event_id)

    def __repr__(self) -> str:
        return f"EmitResult(status={self.status!r}, reason={self.reason!r}, event_id={self.event_id!r})"


class EmitRejected(TenauditError):  # noqa: N818 - contract name
    """The event breaks a limit and was counted as rejected.

    Attributes:
        reason: stable code, the same as in `EmitResult.reason`.
    """

    def __init__(self, reason: str, message: str | None = None) -> None:
        super().__init__(message or f"the event was rejected: {reason}")
        self.reason = reason


class DeliveryUnknown(TenauditError):  # noqa: N818 - contract name
    """The deadline passed before the sink answered: the event may or may not have been stored."""

    code = "delivery_unknown"


class ProducerStats(NamedTuple):
    """A producer's account: emitted = delivered + dropped + spooled + queued."""

    emitted: int
    delivered: int
    dropped: int
    rejected: int
    spooled: int
    queued: int
