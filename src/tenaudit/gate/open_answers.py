"""How many long answers of a kind a gate makes at once: each holds a connection, and behind WSGI a thread."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.fork import restart_in_child
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["OpenAnswers", "OpenBounds", "check_open_bounds"]


class OpenBounds(Protocol):
    """How many there may be."""

    @property
    def max_open(self) -> int:
        """Those of a gate in this process."""

    @property
    def max_open_per_tenant(self) -> int:
        """Those of one tenant."""


def check_open_bounds(what: str, bounds: OpenBounds) -> None:
    """Refuse bounds out of range.

    Raises:
        ConfigurationError: one is not 1 to 10 000; the message names it.
    """
    for name in ("max_open", "max_open_per_tenant"):
        if not 1 <= getattr(bounds, name) <= 10_000:
            raise ConfigurationError(f"{what} {name} must be 1 to 10000, not {getattr(bounds, name)!r}")


class OpenAnswers:
    """Counts the answers of one kind that a gate makes, on its event loop.

    Args:
        refusal: what is said when there are enough.

    Example:
        >>> from uuid import UUID
        >>> from tenaudit.gate import TailSettings
        >>> tails = OpenAnswers("Too many followers are connected.")
        >>> tails.enter(UUID(int=1), TailSettings())
        >>> tails.leave(UUID(int=1))
        >>> tails.total
        0
    """

    def __init__(self, refusal: str) -> None:
        self._refusal = refusal
        self.after_fork()
        restart_in_child(self)

    def after_fork(self) -> None:
        """Start from none: at first, and in a forked child, which serves none of its parent's connections."""
        self._by_tenant: Counter[UUID] = Counter()

    @property
    def total(self) -> int:
        """How many there are."""
        return self._by_tenant.total()

    def enter(self, tenant_id: UUID, bounds: OpenBounds) -> None:
        """Count one more.

        Raises:
            ApiError: 503 `unavailable` when there are enough.
        """
        if self.total >= bounds.max_open or self._by_tenant[tenant_id] >= bounds.max_open_per_tenant:
            raise ApiError.unavailable(self._refusal, retry_after=30)
        self._by_tenant[tenant_id] += 1

    def leave(self, tenant_id: UUID) -> None:
        """Count one less."""
        self._by_tenant[tenant_id] -= 1
        # Neither a tenant that has left nor one from before a fork takes room.
        if self._by_tenant[tenant_id] <= 0:
            del self._by_tenant[tenant_id]
