"""One client, one connection to the target, and the two pumps between them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenaudit.testing.proxy.endpoint import Endpoint, dial
from tenaudit.testing.proxy.pump import Cut, Pump, Sleep

if TYPE_CHECKING:
    import socket

    from tenaudit.testing.proxy.fault import Ending
    from tenaudit.testing.proxy.lane import Lane
    from tenaudit.testing.proxy.ledger import Ledger

__all__ = ["Connection", "Wiring"]


@dataclass(frozen=True, slots=True)
class Wiring:
    """What every connection of a proxy shares.

    Attributes:
        host: the target's host.
        port: the target's port.
        sleep: how pauses wait.
        buffer_bytes: most bytes in hand, a direction of a connection.
        connect_timeout: seconds the target has to accept.
        upstream: switches of the way to the server.
        downstream: switches of the way back.
        leads_on: clear while new connections lead nowhere.
        ledger: the counters.

    Example:
        >>> from tenaudit.testing.proxy.lane import Lane
        >>> from tenaudit.testing.proxy.ledger import Ledger
        >>> Wiring("127.0.0.1", 5432, asyncio.sleep, 65536, 5.0, Lane(), Lane(), asyncio.Event(), Ledger()).port
        5432
    """

    host: str
    port: int
    sleep: Sleep
    buffer_bytes: int
    connect_timeout: float
    upstream: Lane
    downstream: Lane
    leads_on: asyncio.Event
    ledger: Ledger


class Connection:
    """Owns the accepted socket and the one to the target; both are closed when `task` is done.

    Example:
        `TcpFaultProxy` makes one for each client; see there.
    """

    __slots__ = ("_client", "_ending", "_server", "_wiring", "ended", "task")

    def __init__(self, accepted: socket.socket, wiring: Wiring) -> None:
        self._client = Endpoint(accepted)
        self._server: Endpoint | None = None
        self._wiring = wiring
        self._ending: Ending = "close"
        self.ended = False
        self.task = asyncio.get_running_loop().create_task(self._run())
        # A callback, not `finally`: a task cancelled before its first step never enters its body.
        self.task.add_done_callback(lambda _: self.close())

    def end(self, ending: Ending) -> None:
        """Stop now; the sockets close at the loop's next turns."""
        if not self.ended:
            self._ending = ending
            self.ended = True
            self.task.cancel()

    def close(self) -> None:
        """Close both sockets."""
        self.ended = True
        self._client.close(self._ending)
        if self._server is not None:
            self._server.close(self._ending)

    async def _run(self) -> None:
        if not self._wiring.leads_on.is_set():
            self._wiring.ledger.fault("accept_nowhere")
            await self._wiring.leads_on.wait()
        if await self._reach():
            await self._carry()

    async def _reach(self) -> bool:
        try:
            async with asyncio.timeout(self._wiring.connect_timeout):
                self._server = await dial(self._wiring.host, self._wiring.port)
        except OSError:  # TimeoutError is one
            self._ending = "reset"
            self._wiring.ledger.count("unreachable")
            return False
        return True

    async def _carry(self) -> None:
        try:
            async with asyncio.TaskGroup() as pumps:
                for pump in self._pumps():
                    pumps.create_task(pump.run())
        except* (Cut, OSError) as ends:
            cuts, _ = ends.split(Cut)
            # A peer that is gone without a FIN is gone in the same way for the other one.
            self._ending = "reset" if cuts is None else _first_ending(cuts)
            self._wiring.ledger.fault("cut", by=int(cuts is not None))

    def _pumps(self) -> tuple[Pump, ...]:
        wiring, client, server = self._wiring, self._client, self._server
        if server is None:
            return ()
        upstream = Pump("upstream", client, server, wiring.upstream, wiring)
        return upstream, Pump("downstream", server, client, wiring.downstream, wiring)


def _first_ending(cuts: BaseExceptionGroup[Cut]) -> Ending:
    first: BaseException = cuts
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first.ending if isinstance(first, Cut) else "reset"
