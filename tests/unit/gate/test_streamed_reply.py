"""A streamed reply: closed once, whatever it was doing, and never left holding what it took."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator

import pytest

from tenaudit.gate import StreamedReply


class Body:
    """A body that waits for ever after its first piece."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.ended = 0
        self.closed = 0
        self.reply = StreamedReply(200, (), self._pieces(), step_seconds=1, on_close=self._close)

    def _close(self) -> None:
        self.closed += 1

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"one"
            self.waiting.set()
            await asyncio.Event().wait()
        finally:
            self.ended += 1


def test_a_piece_that_was_given_up_on_does_not_stand_in_the_way_of_closing() -> None:
    async def main() -> None:
        body = Body()
        assert await body.reply.piece() == b"one"
        making = asyncio.ensure_future(body.reply.piece())
        await body.waiting.wait()
        making.cancel()
        await body.reply.aclose()
        with pytest.raises(asyncio.CancelledError):
            await making
        assert (body.ended, body.closed) == (1, 1)
        assert await body.reply.piece() is None

    asyncio.run(asyncio.wait_for(main(), 20))


def test_it_is_closed_once_and_also_when_it_is_lost() -> None:
    async def main() -> None:
        body = Body()
        await body.reply.aclose()
        await body.reply.aclose()
        del body.reply
        gc.collect()
        assert (body.ended, body.closed) == (0, 1)
        lost = Body()
        del lost.reply
        gc.collect()
        assert lost.closed == 1

    asyncio.run(asyncio.wait_for(main(), 20))
