"""ASGI applications as real HTTP servers on loopback, several in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.types import ASGIApp

__all__ = ["HOST", "listen", "serving"]

HOST = "127.0.0.1"
_START_SECONDS = 5.0
_STOP_SECONDS = 5.0


class _Server(uvicorn.Server):
    """A server that leaves signals to the program: several share one process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(port: int = 0) -> socket.socket:
    """Bind a loopback port; 0 picks a free one.

    Raises:
        ConfigurationError: the port is taken or not allowed.
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
    except (OSError, OverflowError) as error:
        bound.close()
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"port {port} on {HOST}: {why}; choose another with --port, or 0 for a free one"
        ) from error
    return bound


@asynccontextmanager
async def serving(app: ASGIApp, bound: socket.socket) -> AsyncIterator[str]:
    """Serve *app* on a bound socket for the length of the block; yields its base URL."""
    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="on", server_header=False)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn offers a flag, no event
                await asyncio.sleep(0.005)
        if task.done():
            await task
            raise ConfigurationError("the server ended while starting")
        yield f"http://{HOST}:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=_STOP_SECONDS)
        if not task.done():
            task.cancel()
        bound.close()
