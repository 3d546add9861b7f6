"""One ASGI application as an HTTP server, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra

try:
    import uvicorn
except ImportError as error:
    raise MissingExtra("serve", "uvicorn") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

__all__ = ["is_loopback", "listen", "serve_until", "url_of"]

_GRACE_SECONDS = 3
_STOP_SECONDS = 5.0
_BACKLOG = 2048


class _Server(uvicorn.Server):
    """A server that leaves signals to the command, and says when it takes requests."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a host.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Bind an address; port 0 picks a free one.

    Raises:
        ConfigurationError: the port is taken or not allowed, or the address is not this machine's.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with contextlib.ExitStack() as stack:
            bound = stack.enter_context(socket.socket(family, kind, number))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            # Here and not by the server, so that a port that is taken is found before anything is opened.
            bound.listen(_BACKLOG)
            stack.pop_all()
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "is no name of a host"
        raise ConfigurationError(f"port {port} on {host}: {why}; choose others with --host and --port") from error
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the base URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def serve_until(app: ASGIApp, bound: socket.socket, told: asyncio.Event, ready: Callable[[], None]) -> None:
    """Serve *app* on a bound socket until *told* is set; what is then still answered is cut after three seconds.

    Args:
        app: without a lifespan of its own.
        bound: closed at the end.
        told: ends it.
        ready: called once requests are taken.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        # Whoever forwards is believed by the trust of the gate, never by an address.
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config, ready)
    serving = asyncio.create_task(server.serve(sockets=[bound]), name="tenaudit-serve")
    waiting = asyncio.create_task(told.wait(), name="tenaudit-serve-told")
    try:
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(serving, _GRACE_SECONDS + _STOP_SECONDS)
    finally:
        waiting.cancel()
        serving.cancel()
        bound.close()
