"""A body that is made while it is sent, over aiohttp; it ends soon after the client has gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web
from multidict import CIMultiDict

if TYPE_CHECKING:
    from tenaudit.gate import StreamedReply

__all__ = ["streamed_response"]

# aiohttp tells a handler of a lost connection only when it writes; this often it is looked for while nothing is.
_LOOK_SECONDS = 1.0


async def streamed_response(request: web.Request, reply: StreamedReply) -> web.StreamResponse:
    """Send a streamed reply, and close it in any case."""
    response = web.StreamResponse(status=reply.status, headers=CIMultiDict(reply.headers))
    try:
        await response.prepare(request)
        if request.method != "HEAD":
            while (piece := await _piece_while(request, reply)) is not None:
                await asyncio.wait_for(response.write(piece), reply.send_seconds)
        await response.write_eof()
    except ConnectionError:
        # The client has gone, which is no fault: nothing more is to be sent.
        return response
    finally:
        await reply.aclose()
    return response


async def _piece_while(request: web.Request, reply: StreamedReply) -> bytes | None:
    made = asyncio.ensure_future(reply.piece())
    try:
        while not made.done():
            await asyncio.wait({made}, timeout=_LOOK_SECONDS)
            if request.transport is None:
                return None
        return made.result()
    finally:
        made.cancel()
        await asyncio.gather(made, return_exceptions=True)
