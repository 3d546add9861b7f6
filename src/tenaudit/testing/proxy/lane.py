"""One direction's switches: which faults are armed, shared by all connections of a proxy."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenaudit.testing.proxy.fault import Bandwidth, Corrupt, CutAfter, Delay, Fault, HalfOpen, Slice

__all__ = ["CLEAN", "Armed", "Lane"]


@dataclass(frozen=True, slots=True)
class Armed:
    """At most one fault of each kind; the field names are the faults' names.

    Example:
        >>> Armed() == CLEAN
        True
    """

    delay: Delay | None = None
    half_open: HalfOpen | None = None
    slice: Slice | None = None
    corrupt: Corrupt | None = None
    bandwidth: Bandwidth | None = None
    cut: CutAfter | None = None


CLEAN = Armed()


class Lane:
    """The switches of one direction.

    Attributes:
        armed: the faults in force.
        open: clear while the lane is a black hole.
        calm: set by the next `heal`, and then replaced; a pause ends when it is set.

    Example:
        >>> from tenaudit.testing.proxy.fault import HalfOpen
        >>> lane = Lane()
        >>> lane.arm(HalfOpen())
        >>> lane.open.is_set()
        False
    """

    __slots__ = ("armed", "calm", "open")

    def __init__(self) -> None:
        self.armed = CLEAN
        self.calm = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    def arm(self, fault: Fault) -> None:
        """Put *fault* in force, in place of one of its kind."""
        # A fresh copy: its identity tells every stream to count from here, even for an equal fault.
        change: dict[str, Any] = {fault.name: replace(fault)}
        self.armed = replace(self.armed, **change)
        if self.armed.half_open is not None:
            self.open.clear()

    def heal(self) -> None:
        """Disarm everything, end every pause and open the lane."""
        self.armed = CLEAN
        self.calm.set()
        self.calm = asyncio.Event()
        self.open.set()
