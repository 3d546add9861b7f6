"""A member of a fan-out: a sink, what it may cost the others, and whether they depend on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.fan_out.breaker import BreakerPolicy

if TYPE_CHECKING:
    from tenaudit.audit.ports import Sink

__all__ = ["FanOutMember"]

_MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class FanOutMember:
    """One sink of a `FanOutSink`.

    Args:
        sink: where events go; the fan-out closes it.
        name: its label in metrics and logs, in at most 64 printable characters.
        required: whether a write of the fan-out fails when this one does. One that is not required has a queue of
            its own and loses what does not fit.
        timeout: seconds that one write, and closing, may take; below the producer's `write_timeout`.
        breaker: when it is left alone, and for how long.
        capacity, max_bytes: events and bytes that may wait for a member that is not required.

    Raises:
        ConfigurationError: a name that cannot be a label, or a bound that is not above zero.

    Example:
        >>> from tenaudit.backends.memory import MemorySink
        >>> FanOutMember(MemorySink(), "search", required=False).timeout
        3.0
    """

    sink: Sink
    name: str
    required: bool = True
    timeout: float = 3.0
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    capacity: int = 10_000
    max_bytes: int = 16 * 2**20

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= _MAX_NAME or not self.name.isprintable():
            raise ConfigurationError(f"a member's name must be 1 to {_MAX_NAME} printable characters")
        for bound in ("timeout", "capacity", "max_bytes"):
            if not getattr(self, bound) > 0:  # which NaN is not
                raise ConfigurationError(f"{bound} of the member {self.name} must be above 0")
