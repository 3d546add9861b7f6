"""A reply whose body is made while it is sent, without a framework."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

__all__ = ["StreamedReply"]


def _nothing() -> None:
    """Release nothing."""


class StreamedReply:
    """Status, header pairs and the pieces of a body, one after another.

    Whoever takes it closes it with `aclose`, also when no piece was wanted, as of HEAD, and when the client went
    away: a generator that was never started releases nothing by itself.

    Args:
        status: the response's.
        headers: the response's; there is no length.
        pieces: makes the body.
        step_seconds: the longest that one piece takes to be made.
        send_seconds: how long a client may take to read one, where the adapter can tell.
        on_close: called once, at the end.

    Example:
        >>> import asyncio
        >>> async def body():
        ...     yield b"one"
        >>> async def main():
        ...     reply = StreamedReply(200, (("content-type", "text/plain"),), body(), step_seconds=1.0)
        ...     try:
        ...         return await reply.piece(), await reply.piece()
        ...     finally:
        ...         await reply.aclose()
        >>> asyncio.run(main())
        (b'one', None)
    """

    __slots__ = ("_making", "_on_close", "_pieces", "headers", "send_seconds", "status", "step_seconds")

    def __init__(
        self,
        status: int,
        headers: tuple[tuple[str, str], ...],
        pieces: AsyncGenerator[bytes, None],
        *,
        step_seconds: float,
        send_seconds: float = 30.0,
        on_close: Callable[[], None] = _nothing,
    ) -> None:
        self.status = status
        self.headers = headers
        self.step_seconds = step_seconds
        self.send_seconds = send_seconds
        self._pieces = pieces
        # A piece that was given up on may still be on its way out when the body is closed.
        self._making = asyncio.Lock()
        self._on_close = on_close

    def __del__(self) -> None:
        # One that was lost on its way to the server, by an error of the application's, holds nothing for ever.
        self._on_close()

    async def piece(self) -> bytes | None:
        """Return the next piece of the body, None at its end.

        Raises:
            ApiError: what the body is made of failed; the answer has begun, so it can only be broken off.
        """
        async with self._making:
            return await anext(self._pieces, None)

    async def aclose(self) -> None:
        """End the body where it is; a second call does nothing."""
        on_close, self._on_close = self._on_close, _nothing
        try:
            async with self._making:
                await self._pieces.aclose()
        finally:
            on_close()
