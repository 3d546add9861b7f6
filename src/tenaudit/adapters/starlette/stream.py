"""A body that is made while it is sent, over ASGI; it ends as soon as the client has gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tenaudit.adapters.starlette.wire import encoded

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from tenaudit.gate import StreamedReply

__all__ = ["StreamedResponse"]


class StreamedResponse:
    """Sends a streamed reply.

    Args:
        reply: what is sent; it is closed in any case.
    """

    def __init__(self, reply: StreamedReply) -> None:
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and, unless only that was asked for, the body."""
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            head = {"status": self._reply.status, "headers": encoded(self._reply.headers)}
            await send({"type": "http.response.start", **head})
            if scope["method"] != "HEAD":
                await self._send_body(send, gone)
            if not gone.done():
                await send({"type": "http.response.body", "body": b""})
        except ConnectionError:
            # The client has gone, which is no fault: nothing more is to be sent.
            return
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            await self._reply.aclose()

    async def _send_body(self, send: Send, gone: asyncio.Future[None]) -> None:
        while (piece := await self._piece_unless(gone)) is not None:
            message = {"type": "http.response.body", "body": piece, "more_body": True}
            await asyncio.wait_for(send(message), self._reply.send_seconds)

    async def _piece_unless(self, gone: asyncio.Future[None]) -> bytes | None:
        made = asyncio.ensure_future(self._reply.piece())
        try:
            either: set[asyncio.Future[Any]] = {made, gone}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return None if gone.done() else made.result()
        finally:
            made.cancel()
            await asyncio.gather(made, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
