"""How many followers a gate serves at once: each holds a connection, and behind WSGI a thread."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.fork import restart_in_child
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.gate.gate import Gate

__all__ = ["OpenTails", "TailSettings", "open_tails_of"]


@dataclass(frozen=True, slots=True)
class TailSettings:
    """Bounds of `GET /audit/tail`; times are in seconds.

    Args:
        max_open: followers that a gate serves at once in this process. Behind WSGI each takes a thread of the
            server, so that this belongs well below the number of threads.
        max_open_per_tenant: those of one tenant.
        lifetime: after which an answer ends; a client comes back to where it was.
        heartbeat: after which something is sent though nothing happened.
        fastest: between two looks at the store while events come.
        slowest: between two looks while none comes.

    Raises:
        ConfigurationError: a value is out of range; the message names it.

    Example:
        >>> TailSettings(max_open=4).lifetime
        300.0
    """

    max_open: int = 16
    max_open_per_tenant: int = 4
    lifetime: float = 300.0
    heartbeat: float = 15.0
    fastest: float = 0.1
    slowest: float = 2.0

    def __post_init__(self) -> None:
        for name in ("max_open", "max_open_per_tenant"):
            if not 1 <= getattr(self, name) <= 10_000:
                raise ConfigurationError(f"tail {name} must be 1 to 10000, not {getattr(self, name)!r}")
        for name in ("lifetime", "heartbeat", "fastest", "slowest"):
            if not 0.001 <= getattr(self, name) <= 86_400:
                raise ConfigurationError(f"tail {name} must be 0.001 to 86400 seconds, not {getattr(self, name)!r}")
        if self.fastest > self.slowest:
            raise ConfigurationError("tail fastest must not be more than slowest")


class OpenTails:
    """Counts the followers of one gate, on its event loop.

    Example:
        >>> from uuid import UUID
        >>> tails = OpenTails()
        >>> tails.enter(UUID(int=1), TailSettings())
        >>> tails.leave(UUID(int=1))
        >>> tails.total
        0
    """

    def __init__(self) -> None:
        self.after_fork()
        restart_in_child(self)

    def after_fork(self) -> None:
        """Start from none: at first, and in a forked child, which serves none of its parent's connections."""
        self._by_tenant: Counter[UUID] = Counter()

    @property
    def total(self) -> int:
        """How many there are."""
        return self._by_tenant.total()

    def enter(self, tenant_id: UUID, settings: TailSettings) -> None:
        """Count one more.

        Raises:
            ApiError: 503 `unavailable` when there are enough.
        """
        if self.total >= settings.max_open or self._by_tenant[tenant_id] >= settings.max_open_per_tenant:
            raise ApiError.unavailable("Too many followers are connected.", retry_after=30)
        self._by_tenant[tenant_id] += 1

    def leave(self, tenant_id: UUID) -> None:
        """Count one less."""
        self._by_tenant[tenant_id] -= 1
        # Neither a tenant that has left nor one from before a fork takes room.
        if self._by_tenant[tenant_id] <= 0:
            del self._by_tenant[tenant_id]


_tails: WeakKeyDictionary[Gate, OpenTails] = WeakKeyDictionary()


def open_tails_of(gate: Gate) -> OpenTails:
    """Return the followers of a gate, however many APIs it serves."""
    return _tails.setdefault(gate, OpenTails())
