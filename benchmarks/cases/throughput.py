"""Time of one request over a real uvicorn, the whole gate with and without an in-memory limit, beside bare Starlette.

Each side is a server process with one worker. This process keeps sixteen connections open and always has a request
waiting on each, so that the server is what is timed. The target is a share: at least 85 % of bare.
Not shown: delivering events to a sink that waits, TLS, and a faster HTTP parser, beside which the gate's share grows.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from benchmarks.result import TimesBetter, compare
from benchmarks.rounds import Contender, measure
from benchmarks.sample_request import HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.result import Result
    from benchmarks.rounds import Plan

__all__ = ["run"]

_HOST = "127.0.0.1"
_CONNECTIONS = 16
_START_SECONDS = 30.0
_REQUEST = b"".join(
    [
        b"GET /payments/p-1 HTTP/1.1\r\n",
        *(f"{name}: {value}\r\n".encode() for name, value in HEADERS),
        b"\r\n",
    ]
)


def run(plan: Plan, _note: Callable[[str], None]) -> Iterator[Result]:
    """Yield the result with a limit, and without one."""
    for case, app in (("throughput/limited", "limited"), ("throughput/unlimited", "unlimited")):
        with ExitStack() as stack:
            sides = [stack.enter_context(_served(*side)) for side in (("ours", app), ("starlette", "starlette"))]
            samples = measure(sides, plan)
        yield compare(case, samples, unit="us", scale=1e6, targets=[TimesBetter(0.85, "starlette")])


@contextmanager
def _served(name: str, served: str) -> Iterator[Contender]:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port = probe.getsockname()[1]
    app = f"benchmarks.throughput_apps:{served}"
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--log-level", "error", "--no-access-log"]
    with subprocess.Popen(command) as process, ExitStack() as stack:
        try:
            connections = [stack.enter_context(_connected(port)) for _ in range(_CONNECTIONS)]
            yield Contender(name, lambda count: _ask(connections, count))
        finally:
            process.terminate()


@contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            connection = socket.create_connection((_HOST, port), timeout=10)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
        else:
            break
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def _ask(connections: list[socket.socket], count: int) -> None:
    for first in range(0, count, len(connections)):
        busy = connections[: count - first]
        for connection in busy:
            connection.sendall(_REQUEST)
        for connection in busy:
            _read(connection)


def _read(connection: socket.socket) -> None:
    """Read one answer; both sides answer `ok` without chunks."""
    received = b""
    while not received.endswith(b"\r\n\r\nok"):
        piece = connection.recv(65536)
        if not piece:
            raise RuntimeError(f"the server closed the connection after {received[:200]!r}")
        received += piece
