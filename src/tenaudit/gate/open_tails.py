"""How many followers a gate serves at once: each holds a connection, and behind WSGI a thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from tenaudit._kernel.error import ConfigurationError
from tenaudit.gate.open_answers import OpenAnswers, check_open_bounds

if TYPE_CHECKING:
    from tenaudit.gate.gate import Gate

__all__ = ["TailSettings", "open_tails_of"]


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
        check_open_bounds("tail", self)
        for name in ("lifetime", "heartbeat", "fastest", "slowest"):
            if not 0.001 <= getattr(self, name) <= 86_400:
                raise ConfigurationError(f"tail {name} must be 0.001 to 86400 seconds, not {getattr(self, name)!r}")
        if self.fastest > self.slowest:
            raise ConfigurationError("tail fastest must not be more than slowest")


_tails: WeakKeyDictionary[Gate, OpenAnswers] = WeakKeyDictionary()


def open_tails_of(gate: Gate) -> OpenAnswers:
    """Return the followers of a gate, however many APIs it serves."""
    return _tails.setdefault(gate, OpenAnswers("Too many followers are connected."))
