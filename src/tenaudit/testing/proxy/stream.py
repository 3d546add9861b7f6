"""Pure: how far one direction of one connection has come, and what its armed faults make of the next bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenaudit.testing.proxy.fault import Corrupt, CutAfter, Delay
    from tenaudit.testing.proxy.lane import Armed

__all__ = ["Stream"]


class Stream:
    """Counts bytes and reads, and answers size, pause and content of the next piece.

    Example:
        >>> from tenaudit.testing.proxy.fault import Slice
        >>> from tenaudit.testing.proxy.lane import Armed
        >>> Stream().size(Armed(slice=Slice(3)), available=10)
        3
    """

    __slots__ = ("_marks", "_passed", "_reads")

    def __init__(self) -> None:
        self._passed = 0
        self._reads = 0
        self._marks: dict[str, tuple[object, int]] = {}

    def _since(self, fault: Delay | Corrupt | CutAfter, position: int) -> int:
        """*position* counted from where *fault* was first met."""
        mark = self._marks.get(fault.name)
        if mark is None or mark[0] is not fault:
            mark = self._marks[fault.name] = (fault, position)
        return position - mark[1]

    def hold(self, armed: Armed) -> float:
        """Seconds to hold a read that has just come in."""
        seconds = armed.delay.seconds_for(self._since(armed.delay, self._reads)) if armed.delay else 0.0
        self._reads += 1
        return seconds

    def size(self, armed: Armed, available: int) -> int:
        """Bytes of the next piece; 0 when the connection is to be cut first."""
        limits = [available]
        if armed.slice:
            limits.append(armed.slice.max_bytes)
        if armed.bandwidth:
            limits.append(armed.bandwidth.quantum)
        if armed.cut:
            limits.append(max(0, armed.cut.size - self._since(armed.cut, self._passed)))
        return min(limits)

    def spent(self, armed: Armed) -> bool:
        """Whether the byte allowance of an armed cut is used up."""
        return armed.cut is not None and self.size(armed, 1) == 0

    @staticmethod
    def pause(armed: Armed, size: int, *, first: bool) -> float:
        """Seconds to wait before a piece of *size* bytes; *first* of its read or a later one."""
        gap = armed.slice.pause if armed.slice and not first else 0.0
        return gap + (armed.bandwidth.seconds_for(size) if armed.bandwidth else 0.0)

    def emit(self, armed: Armed, piece: bytes) -> tuple[bytes, int]:
        """The piece as it goes out, and how many bits of it were flipped; advances the stream."""
        start = self._since(armed.corrupt, self._passed) if armed.corrupt else 0
        self._passed += len(piece)
        if armed.corrupt is None:
            return piece, 0
        return armed.corrupt.apply(piece, start), len(armed.corrupt.hits(start, len(piece)))
