"""Free loopback ports, and another try when somebody else was faster."""

from __future__ import annotations

import random
import socket
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tenaudit.testing.services.service import PortTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["HOST", "accepts", "first_outgoing", "free_port", "kept_port", "on_free_port"]

HOST = "127.0.0.1"
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
_USUAL_OUTGOING = 32_768
_END = 65_536
_Service = TypeVar("_Service")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment.

    Example:
        >>> 0 < free_port() < 65536
        True
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def kept_port() -> int:
    """A free port of 127.0.0.1 that no outgoing connection is given, so that it stays free while a server is down.

    Among the others, a client that keeps calling a server that is down would in the end be given the very port that
    it calls, be connected to itself, and keep the server from coming back.

    Example:
        >>> kept_port() >= 10_000
        True
    """
    while True:
        port = random.randrange(_LOWEST, first_outgoing())  # noqa: S311 - no secret
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((HOST, port))
            return port


def first_outgoing(source: Path = _OUTGOING) -> int:
    """The lowest port that outgoing connections are given, as Linux tells in *source*; elsewhere its usual one.

    Where that leaves few ports below it, it is the end of all ports: there is nowhere to go.

    Example:
        >>> first_outgoing(Path("no such file"))
        32768
    """
    try:
        first = int(source.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _USUAL_OUTGOING
    return first if first > 2 * _LOWEST else _END


def accepts(port: int, *, within: float = 0.5) -> bool:
    """Whether a TCP connection to *port* on 127.0.0.1 is accepted within *within* seconds."""
    try:
        with socket.create_connection((HOST, port), timeout=within):
            return True
    except OSError:
        return False


@contextmanager
def on_free_port(
    start: Callable[[int], AbstractContextManager[_Service]],
    *,
    pick: Callable[[], int] = free_port,
    tries: int = 4,
) -> Iterator[_Service]:
    """Enter `start(port)`, choosing a new port while *start* raises `PortTaken`, *tries* times at most.

    Raises:
        PortTaken: every try lost the race.
    """
    with ExitStack() as stack:
        yield _enter(stack, start, pick, tries)


def _enter(
    stack: ExitStack,
    start: Callable[[int], AbstractContextManager[_Service]],
    pick: Callable[[], int],
    tries: int,
) -> _Service:
    for _ in range(tries - 1):
        try:
            return stack.enter_context(start(pick()))
        except PortTaken:
            continue
    return stack.enter_context(start(pick()))
