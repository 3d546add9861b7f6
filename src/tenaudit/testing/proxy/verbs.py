"""The verbs a test says to a proxy, whether it runs in the test's loop or on a thread of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tenaudit.testing.proxy.fault import (
    Bandwidth,
    Corrupt,
    CutAfter,
    Delay,
    Direction,
    Ending,
    Fault,
    HalfOpen,
    Slice,
)

__all__ = ["FaultVerbs"]


class FaultVerbs(ABC):
    """Verbs in terms of five switches; each takes effect before it returns.

    Example:
        >>> class Told(FaultVerbs):
        ...     def inject(self, fault, direction="both"): print(direction, fault)
        ...     def cut_live(self, ending="reset"): print("cut", ending)
        ...     def refuse(self): print("refuse")
        ...     def accept_nowhere(self): print("accept_nowhere")
        ...     def heal(self): print("heal")
        >>> Told().slice(1, direction="upstream")
        upstream Slice(max_bytes=1, pause=0.0)
        >>> Told().cut()
        cut reset
    """

    __slots__ = ()

    @abstractmethod
    def inject(self, fault: Fault, direction: Direction = "both") -> None:
        """Arm *fault* for every connection, live and new, until `heal`; it replaces one of its kind."""

    @abstractmethod
    def cut_live(self, ending: Ending = "reset") -> None:
        """End every live connection; new ones work."""

    @abstractmethod
    def refuse(self) -> None:
        """Close the listening socket: connects are refused, live connections go on."""

    @abstractmethod
    def accept_nowhere(self) -> None:
        """Accept new connections and leave them there: the target is not called, nothing is read, until `heal`."""

    @abstractmethod
    def heal(self) -> None:
        """Forward cleanly again: end all faults and pauses, let held bytes flow, listen on the same port."""

    def delay(self, seconds: float, *, jitter: float = 0.0, seed: int = 0, direction: Direction = "both") -> None:
        """Hold every read for *seconds* plus up to *jitter* more."""
        self.inject(Delay(seconds, jitter, seed), direction)

    def half_open(self, *, direction: Direction = "both") -> None:
        """Neither read nor pass on, with every socket left open."""
        self.inject(HalfOpen(), direction)

    def slice(self, max_bytes: int, *, pause: float = 0.0, direction: Direction = "both") -> None:
        """Pass on pieces of *max_bytes* at most, *pause* seconds apart."""
        self.inject(Slice(max_bytes, pause), direction)

    def corrupt(
        self,
        *,
        every: int | None = None,
        at: int | None = None,
        seed: int = 0,
        direction: Direction = "both",
    ) -> None:
        """Flip one bit in each block of *every* bytes, or in the byte at offset *at*."""
        self.inject(Corrupt(every, at, seed), direction)

    def bandwidth(self, bytes_per_second: int, *, direction: Direction = "both") -> None:
        """Pass on *bytes_per_second* at most, for each connection."""
        self.inject(Bandwidth(bytes_per_second), direction)

    def cut(self, *, after: int | None = None, ending: Ending = "reset", direction: Direction = "both") -> None:
        """End all live connections now, or each connection *after* so many bytes of a direction."""
        if after is None:
            self.cut_live(ending)
        else:
            self.inject(CutAfter(after, ending), direction)
