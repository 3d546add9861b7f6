"""Free loopback ports, and another try when somebody else was faster."""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

from tenaudit.testing.services.service import PortTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["HOST", "accepts", "free_port", "on_free_port"]

HOST = "127.0.0.1"
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
