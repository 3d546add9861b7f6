"""Turns of the event loop between pieces of work that may each take milliseconds."""

from __future__ import annotations

import asyncio

__all__ = ["Turns"]


class Turns:
    """Lets others have their turn once the work since the last one has taken its time.

    Args:
        seconds: how long that is.

    Example:
        >>> async def main():
        ...     turns = Turns()
        ...     for _ in range(3):
        ...         await turns.taken()
        >>> asyncio.run(main())
    """

    def __init__(self, seconds: float = 0.005) -> None:
        self._seconds = seconds
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock()

    async def taken(self) -> None:
        """Return at once, or after the others."""
        if self._clock() - self._since >= self._seconds:
            await asyncio.sleep(0)
            self._since = self._clock()
