"""One non-blocking socket: readiness is awaited, reading and writing are not, so a read can be withheld."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenaudit.testing.proxy.fault import Ending

__all__ = ["Endpoint", "dial"]

_LINGER_ZERO = struct.pack("ii", 1, 0)  # l_onoff, l_linger: close() then sends RST and drops what is unsent


class Endpoint:
    """A connected socket, owned: `close` must be called.

    Asyncio streams read ahead into their own buffer; a black hole must leave the bytes in the kernel.

    Example:
        >>> left, right = (Endpoint(half) for half in socket.socketpair())
        >>> left.send(b"hi"), right.receive(10), right.receive(10)
        (2, b'hi', None)
        >>> left.close("close"), right.close("close")
        (None, None)
    """

    __slots__ = ("_socket",)

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock

    async def readable(self) -> None:
        """Return once the socket has bytes, an end or an error to read."""
        loop = asyncio.get_running_loop()
        await _ready(self._socket, loop.add_reader, loop.remove_reader)

    async def writable(self) -> None:
        """Return once the kernel takes bytes again."""
        loop = asyncio.get_running_loop()
        await _ready(self._socket, loop.add_writer, loop.remove_writer)

    def receive(self, limit: int) -> bytes | None:
        """Up to *limit* bytes, `b""` at the peer's FIN, None when there is nothing yet."""
        try:
            return self._socket.recv(limit)
        except (BlockingIOError, InterruptedError):
            return None

    def send(self, data: bytes | memoryview) -> int:
        """Bytes taken by the kernel; 0 when it has no room."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0

    def finish(self) -> None:
        """Send FIN; the other direction stays open."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self, ending: Ending) -> None:
        """Close with RST or FIN; closing twice does nothing."""
        if ending == "reset":
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._socket.close()


async def _ready(sock: socket.socket, add: Callable[..., Any], remove: Callable[[socket.socket], object]) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    add(sock, _wake, ready)
    try:
        await ready
    finally:
        remove(sock)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def dial(host: str, port: int) -> Endpoint:
    """Connect to *host*, trying each of its addresses in turn.

    Raises:
        OSError: no address accepted.
    """
    loop = asyncio.get_running_loop()
    failure: OSError | None = None
    for family, kind, proto, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, proto)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return Endpoint(sock)
    raise failure or OSError(f"{host} has no address")
