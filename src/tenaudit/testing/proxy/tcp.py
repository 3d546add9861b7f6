"""The proxy in the test's own event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, get_args

from tenaudit._kernel.error import ConfigurationError
from tenaudit.testing.proxy.connection import Connection, Wiring
from tenaudit.testing.proxy.endpoint import Endpoint
from tenaudit.testing.proxy.fault import Direction, Ending, Fault, check_ending
from tenaudit.testing.proxy.lane import Lane
from tenaudit.testing.proxy.ledger import Ledger, ProxyStats
from tenaudit.testing.proxy.listener import LOOPBACK, Listener
from tenaudit.testing.proxy.verbs import FaultVerbs

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import TracebackType

    from tenaudit.testing.proxy.pump import Sleep

__all__ = ["TcpFaultProxy"]


class TcpFaultProxy(FaultVerbs):
    r"""Forwards 127.0.0.1 on a free port to a target, and breaks what it is told to break.

    Use it from one event loop; `run_in_thread` is the one for threads.

    Args:
        target_host: where the real server listens.
        target_port: its port.
        buffer_bytes: most bytes in hand, a direction of a connection.
        max_connections: live connections; one more is reset at once.
        connect_timeout: seconds the target has to accept; after that the client is reset.
        close_timeout: seconds that `aclose` waits for connections to end.
        sleep: how pauses wait; a test passes its own to need no real time.

    Raises:
        ConfigurationError: an argument is out of range.

    Example:
        >>> async def main() -> bytes:
        ...     async def shout(reader, writer):
        ...         writer.write((await reader.readline()).upper())
        ...         await writer.drain()
        ...         writer.close()
        ...     server = await asyncio.start_server(shout, "127.0.0.1", 0)
        ...     port = server.sockets[0].getsockname()[1]
        ...     async with server, TcpFaultProxy("127.0.0.1", port) as proxy:
        ...         proxy.slice(1)
        ...         reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        ...         writer.write(b"hello\n")
        ...         answer = await reader.read(-1)
        ...         writer.close()
        ...         await writer.wait_closed()
        ...         return answer
        >>> asyncio.run(main())
        b'HELLO\n'
    """

    __slots__ = ("_close_timeout", "_connections", "_lanes", "_listener", "_max_connections", "_state", "_wiring")

    def __init__(
        self,
        target_host: str,
        target_port: int,
        *,
        buffer_bytes: int = 64 * 1024,
        max_connections: int = 256,
        connect_timeout: float = 5.0,
        close_timeout: float = 5.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        _check_ranges(target_port, buffer_bytes, max_connections, connect_timeout, close_timeout)
        up, down, leads_on = Lane(), Lane(), asyncio.Event()
        leads_on.set()
        self._lanes: dict[str, tuple[Lane, ...]] = {
            "upstream": (up,),
            "downstream": (down,),
            "both": (up, down),
        }
        self._wiring = Wiring(
            target_host, target_port, sleep, buffer_bytes, connect_timeout, up, down, leads_on, Ledger()
        )
        self._max_connections = max_connections
        self._close_timeout = close_timeout
        self._connections: set[Connection] = set()
        self._listener = Listener(self._accepted)
        self._state = "new"

    @property
    def host(self) -> str:
        """The address it listens on: always 127.0.0.1."""
        return LOOPBACK

    @property
    def port(self) -> int:
        """The port it listens on.

        Raises:
            ConfigurationError: it has not started.
        """
        if self._state == "new":
            raise ConfigurationError("the proxy has no port before start()")
        return self._listener.port

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: it was started before.
            OSError: no port could be bound.
        """
        if self._state != "new":
            raise ConfigurationError(f"start() on a proxy that is {self._state}; make a new TcpFaultProxy")
        self._listener.start()
        self._state = "running"

    async def aclose(self) -> None:
        """Close the listener and every connection; closing twice does nothing.

        Raises:
            TimeoutError: an injected sleep outlived `close_timeout`; the sockets are closed all the same.
        """
        self._state = "closed"
        self._listener.close()
        ending = tuple(self._connections)
        for connection in ending:
            connection.end("close")
        if not ending:
            return
        _, stuck = await asyncio.wait({connection.task for connection in ending}, timeout=self._close_timeout)
        for connection in ending:
            connection.close()
        if stuck:
            raise TimeoutError(f"{len(stuck)} connections did not end within {self._close_timeout} s")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def inject(self, fault: Fault, direction: Direction = "both") -> None:
        """Arm *fault* for every connection, live and new, until `heal`; it replaces one of its kind.

        Raises:
            ConfigurationError: *direction* is none of upstream, downstream and both.
        """
        if direction not in self._lanes:
            raise ConfigurationError(f"direction must be one of {get_args(Direction)}, got {direction!r}")
        for lane in self._lanes[direction]:
            lane.arm(fault)

    def cut_live(self, ending: Ending = "reset") -> None:
        """End every live connection; new ones work.

        Raises:
            ConfigurationError: *ending* is neither reset nor close.
        """
        check_ending(ending)
        for connection in self._connections:
            if not connection.ended:
                connection.end(ending)
                self._wiring.ledger.fault("cut")

    def refuse(self) -> None:
        """Close the listening socket: connects are refused, live connections go on."""
        if self._listener.refuse():
            self._wiring.ledger.fault("refuse")

    def accept_nowhere(self) -> None:
        """Accept new connections and leave them there: the target is not called, nothing is read, until `heal`."""
        self._wiring.leads_on.clear()

    def heal(self) -> None:
        """Forward cleanly again: end all faults and pauses, let held bytes flow, listen on the same port."""
        for lane in self._lanes["both"]:
            lane.heal()
        self._wiring.leads_on.set()
        if self._state == "running":
            self._listener.start()

    def stats(self) -> ProxyStats:
        """The counters now."""
        return self._wiring.ledger.stats(live=sum(not connection.ended for connection in self._connections))

    async def until(self, holds: Callable[[ProxyStats], bool], *, deadline: float = 5.0) -> ProxyStats:
        """Wait until *holds* is true of the counters: the way to synchronise a test without sleeping.

        Raises:
            TimeoutError: it was not true within *deadline* seconds.
        """
        async with asyncio.timeout(deadline):
            while not holds(stats := self.stats()):
                await self._wiring.ledger.changed()
        return stats

    def _accepted(self, accepted: socket.socket) -> None:
        self._wiring.ledger.count("accepted")
        if len(self._connections) >= self._max_connections:
            Endpoint(accepted).close("reset")
            self._wiring.ledger.count("rejected")
            return
        connection = Connection(accepted, self._wiring)
        self._connections.add(connection)
        connection.task.add_done_callback(lambda _: self._forget(connection))

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._wiring.ledger.touch()


def _check_ranges(port: int, buffer: int, connections: int, connect: float, close: float) -> None:
    if not 1 <= port <= 65535:
        raise ConfigurationError(f"target_port must be from 1 to 65535, got {port!r}")
    for field, value in (
        ("buffer_bytes", buffer),
        ("max_connections", connections),
        ("connect_timeout", connect),
        ("close_timeout", close),
    ):
        if value <= 0:
            raise ConfigurationError(f"{field} must be more than 0, got {value!r}")
