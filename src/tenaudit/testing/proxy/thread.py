"""The proxy for a test without an event loop: the loop runs on a thread, the verbs are thread-safe."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tenaudit.testing.proxy.tcp import TcpFaultProxy
from tenaudit.testing.proxy.verbs import FaultVerbs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tenaudit.testing.proxy.fault import Direction, Ending, Fault
    from tenaudit.testing.proxy.ledger import ProxyStats

__all__ = ["ThreadedTcpFaultProxy", "run_in_thread"]

_ANSWER_TIMEOUT = 5.0  # seconds the loop thread has to carry out one order

T = TypeVar("T")


class ThreadedTcpFaultProxy(FaultVerbs):
    """A running `TcpFaultProxy`, driven from any thread; `run_in_thread` makes one.

    Example:
        >>> with run_in_thread("127.0.0.1", 9) as proxy:
        ...     proxy.delay(0.1)
        ...     proxy.stats().accepted
        0
    """

    __slots__ = ("_loop", "_proxy")

    def __init__(self, proxy: TcpFaultProxy, loop: asyncio.AbstractEventLoop) -> None:
        self._proxy = proxy
        self._loop = loop

    def _ask(self, order: Callable[[], Awaitable[T]], wait: float = _ANSWER_TIMEOUT) -> T:
        async def carry_out() -> T:
            return await order()

        return asyncio.run_coroutine_threadsafe(carry_out(), self._loop).result(wait)

    def _tell(self, order: Callable[..., T], *args: Any) -> T:
        async def carry_out() -> T:  # a coroutine is what another thread can hand to a loop
            return order(*args)

        return self._ask(carry_out)

    @property
    def host(self) -> str:
        """The address it listens on: always 127.0.0.1."""
        return self._proxy.host

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._proxy.port

    @property
    def address(self) -> str:
        """`host:port`."""
        return self._proxy.address

    def inject(self, fault: Fault, direction: Direction = "both") -> None:
        """Arm *fault* for every connection, live and new, until `heal`; it replaces one of its kind."""
        self._tell(self._proxy.inject, fault, direction)

    def cut_live(self, ending: Ending = "reset") -> None:
        """End every live connection; new ones work."""
        self._tell(self._proxy.cut_live, ending)

    def refuse(self) -> None:
        """Close the listening socket: connects are refused, live connections go on."""
        self._tell(self._proxy.refuse)

    def accept_nowhere(self) -> None:
        """Accept new connections and leave them there: the target is not called, nothing is read, until `heal`."""
        self._tell(self._proxy.accept_nowhere)

    def heal(self) -> None:
        """Forward cleanly again: end all faults and pauses, let held bytes flow, listen on the same port."""
        self._tell(self._proxy.heal)

    def stats(self) -> ProxyStats:
        """The counters now."""
        return self._tell(self._proxy.stats)

    def until(self, holds: Callable[[ProxyStats], bool], *, deadline: float = 5.0) -> ProxyStats:
        """Wait until *holds*, called on the proxy's thread, is true of the counters.

        Raises:
            TimeoutError: it was not true within *deadline* seconds.
        """
        return self._ask(lambda: self._proxy.until(holds, deadline=deadline), deadline + _ANSWER_TIMEOUT)


@contextmanager
def run_in_thread(target_host: str, target_port: int, **options: Any) -> Iterator[ThreadedTcpFaultProxy]:
    """Run a `TcpFaultProxy` on a thread with a loop of its own, for the length of a `with` block.

    Args:
        target_host: where the real server listens.
        target_port: its port.
        **options: keyword arguments of `TcpFaultProxy`.

    Raises:
        ConfigurationError: an argument is out of range.
        OSError: no port could be bound.
    """
    proxy = TcpFaultProxy(target_host, target_port, **options)
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    ended: Future[None] = Future()
    thread = threading.Thread(target=_serve, args=(proxy, started, ended), name="tenaudit-fault-proxy", daemon=True)
    thread.start()
    loop, stop = started.result(_ANSWER_TIMEOUT)
    try:
        yield ThreadedTcpFaultProxy(proxy, loop)
    finally:
        loop.call_soon_threadsafe(stop.set)
        ended.result(options.get("close_timeout", 5.0) + _ANSWER_TIMEOUT)
        thread.join(_ANSWER_TIMEOUT)


def _serve(
    proxy: TcpFaultProxy,
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]],
    ended: Future[None],
) -> None:
    async def main() -> None:
        stop = asyncio.Event()
        async with proxy:
            started.set_result((asyncio.get_running_loop(), stop))
            await stop.wait()

    try:
        asyncio.run(main())
    except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
        (ended if started.done() else started).set_exception(error)
    else:
        ended.set_result(None)
