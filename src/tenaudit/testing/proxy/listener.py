"""The listening socket: open, refusing with its port reserved, or closed."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LOOPBACK", "Listener"]

LOOPBACK = "127.0.0.1"
_BACKLOG = 128
_ACCEPTS_A_TURN = 32


class Listener:
    """Accepts on a loopback port of the kernel's choice and hands each socket over.

    Args:
        on_accept: takes ownership of a connected socket; called in the event loop.

    Example:
        >>> async def main() -> bool:
        ...     listener = Listener(lambda sock: sock.close())
        ...     listener.start()
        ...     port = listener.port
        ...     listener.refuse()
        ...     listener.start()
        ...     try:
        ...         return listener.port == port
        ...     finally:
        ...         listener.close()
        >>> asyncio.run(main())
        True
    """

    __slots__ = ("_accepting", "_on_accept", "_socket", "port")

    def __init__(self, on_accept: Callable[[socket.socket], None]) -> None:
        self._on_accept = on_accept
        self._socket: socket.socket | None = None
        self._accepting = False
        self.port = 0

    def _bind(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((LOOPBACK, self.port))
        except BaseException:
            sock.close()
            raise
        self.port = sock.getsockname()[1]
        return sock

    def start(self) -> None:
        """Listen; does nothing when it listens already.

        Raises:
            OSError: the port could not be bound.
        """
        if self._accepting:
            return
        if self._socket is None:
            self._socket = self._bind()
        self._socket.listen(_BACKLOG)
        asyncio.get_running_loop().add_reader(self._socket, self._accept, self._socket)
        self._accepting = True

    def refuse(self) -> bool:
        """Stop listening, so that connects are refused; False when it did not listen."""
        if not self._accepting:
            return False
        self.close()
        # Bound but not listening: connects are refused, and nobody else is given the port meanwhile.
        self._socket = self._bind()
        return True

    def close(self) -> None:
        """Give the port up."""
        if self._socket is None:
            return
        if self._accepting:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._accepting = False
        self._socket.close()
        self._socket = None

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS_A_TURN):
            try:
                accepted, _address = listening.accept()
            except OSError:  # nobody left, or a client that gave up between its SYN and now
                return
            self._on_accept(accepted)
