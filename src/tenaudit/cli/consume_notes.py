"""What goes wrong while a long command goes on: a line each, and few lines for much of the same."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from tenaudit._kernel.clock import Clock, SystemClock
from tenaudit.cli.printable import printable

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Notes"]

_MOST_KINDS = 100
# Libraries whose warnings would come without being asked for; what matters of them is logged here in own words.
_LOUD = ("aiokafka", "asyncio", "uvicorn")


class Notes(logging.Handler):
    """Says warnings of tenaudit on standard error for the length of a block.

    Args:
        seconds: after a line, others of its kind are only counted for so long.
        clock: what that is measured with.

    Example:
        >>> with Notes():
        ...     logging.getLogger("tenaudit.audit").info("nothing to worry about")
    """

    def __init__(self, *, seconds: float = 10.0, clock: Clock | None = None) -> None:
        super().__init__(logging.WARNING)
        self._seconds = seconds
        self._clock = clock or SystemClock()
        self._said_at: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def __enter__(self) -> None:
        logging.getLogger("tenaudit").addHandler(self)
        for name in _LOUD:
            logging.getLogger(name).addHandler(logging.NullHandler())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger("tenaudit").removeHandler(self)
        if left_out := sum(self._left_out.values()):
            sys.stderr.write(f"note: {left_out} more notes like these were left out\n")

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or count it."""
        message, now = record.getMessage(), self._clock.monotonic()
        if message not in self._said_at and len(self._said_at) >= _MOST_KINDS:
            message = "other trouble"
        last = self._said_at.get(message)
        if last is not None and now - last < self._seconds:
            self._left_out[message] = self._left_out.get(message, 0) + 1
            return
        self._said_at[message] = now
        more = self._left_out.pop(message, 0)
        about = [str(vars(record)[name]) for name in ("what", "error", "reason") if name in vars(record)]
        about += [f"{more} more like it"] if more else []
        sys.stderr.write(printable(f"note: {message}: {', '.join(about)}".rstrip(": ")) + "\n")
