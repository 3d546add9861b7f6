"""One direction of one connection: read, let the faults have their way, write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, Protocol

from tenaudit.testing.proxy.stream import Stream

if TYPE_CHECKING:
    from tenaudit.testing.proxy.endpoint import Endpoint
    from tenaudit.testing.proxy.fault import Ending
    from tenaudit.testing.proxy.lane import Lane
    from tenaudit.testing.proxy.ledger import Ledger

__all__ = ["Cut", "Pump", "Sleep", "Tools"]

Sleep = Callable[[float], Awaitable[None]]
"""Waits so many seconds; `asyncio.sleep` or a test's own."""


class Tools(Protocol):
    """What a pump takes from its proxy."""

    @property
    def ledger(self) -> Ledger:
        """The counters."""
        ...

    @property
    def sleep(self) -> Sleep:
        """How pauses wait."""
        ...

    @property
    def buffer_bytes(self) -> int:
        """Most bytes in hand."""
        ...


class Cut(Exception):  # noqa: N818 - a signal between the pump and its connection, not an error
    """The connection is to be cut now."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending)
        self.ending = ending


class Pump:
    """Carries bytes from *source* to *sink*, one read of at most `buffer_bytes` in hand.

    Example:
        >>> import socket
        >>> from tenaudit.testing.proxy.endpoint import Endpoint
        >>> from tenaudit.testing.proxy.lane import Lane
        >>> from tenaudit.testing.proxy.ledger import Ledger
        >>> class Tools:
        ...     ledger, sleep, buffer_bytes = Ledger(), staticmethod(asyncio.sleep), 1024
        >>> async def main() -> bytes:
        ...     client, source = socket.socketpair()
        ...     sink, server = socket.socketpair()
        ...     ends = Endpoint(source), Endpoint(sink)
        ...     with client, server, source, sink:
        ...         client.sendall(b"ping")
        ...         client.shutdown(socket.SHUT_WR)
        ...         await Pump("upstream", *ends, Lane(), Tools()).run()
        ...         return server.recv(10)
        >>> asyncio.run(main())
        b'ping'
    """

    __slots__ = ("_lane", "_ledger", "_limit", "_name", "_sink", "_sleep", "_source", "_stream")

    def __init__(
        self,
        name: Literal["upstream", "downstream"],
        source: Endpoint,
        sink: Endpoint,
        lane: Lane,
        tools: Tools,
    ) -> None:
        self._name = name
        self._source = source
        self._sink = sink
        self._lane = lane
        self._ledger = tools.ledger
        self._sleep = tools.sleep
        self._limit = tools.buffer_bytes
        self._stream = Stream()

    async def run(self) -> None:
        """Forward until the source's FIN, and pass that on.

        Raises:
            Cut: an armed fault ends the connection.
            OSError: a peer is gone.
        """
        while True:
            await self._source.readable()
            await self._opened()
            data = self._source.receive(self._limit)
            if data:
                await self._forward(data)
            elif data is not None:
                self._sink.finish()
                return

    async def _opened(self) -> None:
        while not self._lane.open.is_set():
            self._ledger.fault("half_open")
            await self._lane.open.wait()

    async def _forward(self, data: bytes) -> None:
        await self._pause("delay", self._stream.hold(self._lane.armed))
        rest = memoryview(data)
        while rest:
            await self._space_out(len(rest), first=len(rest) == len(data))
            await self._opened()
            self._cut_if_spent()
            # Asked again: the switches may have moved during the wait.
            size = self._stream.size(self._lane.armed, len(rest))
            await self._pass_on(bytes(rest[:size]), whole=size == len(data))
            rest = rest[size:]
        self._cut_if_spent()

    def _cut_if_spent(self) -> None:
        armed = self._lane.armed
        if armed.cut and self._stream.spent(armed):
            raise Cut(armed.cut.ending)

    async def _space_out(self, available: int, *, first: bool) -> None:
        if not first:
            await asyncio.sleep(0)  # one-byte pieces of a large read must not starve the loop
        armed = self._lane.armed
        size = self._stream.size(armed, available)
        await self._pause("bandwidth" if armed.bandwidth else None, self._stream.pause(armed, size, first=first))

    async def _pause(self, fault: str | None, seconds: float) -> None:
        """Wait, but no longer than until the next heal."""
        if seconds <= 0:
            return
        calm = self._lane.calm
        if fault:
            self._ledger.fault(fault)
        sleeping = asyncio.ensure_future(self._sleep(seconds))
        healing = asyncio.ensure_future(calm.wait())
        try:
            await asyncio.wait({sleeping, healing}, return_when=asyncio.FIRST_COMPLETED)
            if sleeping.done():
                sleeping.result()
        finally:
            sleeping.cancel()
            healing.cancel()
            await asyncio.gather(sleeping, healing, return_exceptions=True)

    async def _pass_on(self, piece: bytes, *, whole: bool) -> None:
        armed = self._lane.armed
        sent, flipped = self._stream.emit(armed, piece)
        self._ledger.fault("corrupt", flipped)
        if armed.slice and not whole:
            self._ledger.fault("slice")
        rest = memoryview(sent)
        while rest:
            await self._opened()
            taken = self._sink.send(rest)
            if taken:
                self._ledger.count(self._name, taken)
                rest = rest[taken:]
            else:
                await self._sink.writable()
