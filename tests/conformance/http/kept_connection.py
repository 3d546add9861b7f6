"""The raw client on one connection for many requests, so that thousands of them are quick."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Self

from tests.conformance.http.raw_http import DEADLINE, Answer, parse

if TYPE_CHECKING:
    from types import TracebackType

# What a server may say of bytes that are no request, or too many.
REFUSALS = {400, 413, 414, 431, 501, 505}
_LIMIT = 1 << 20
_BODILESS = (204, 304)


class KeptConnection:
    """Sends requests to one port, over a connection that is opened when there is none and kept while it may be."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def exchange(self, request: bytes, *, last: bool = False) -> Answer | None:
        """Send one request and read one answer; None when the server closes without one.

        Args:
            request: its bytes.
            last: whether the connection is closed afterwards, as it must be when a server could read two requests
                where one was meant: the answer to the second would be taken for that of the next.
        """
        reused = self._socket is not None
        received = self._received(request)
        if not received and reused:
            # A server may close an idle connection at any time; that says nothing of this request.
            received = self._received(request)
        if last or not received or _closes(received):
            self.close()
        return parse(received, head=request.startswith(b"HEAD ")) if received else None

    def _received(self, request: bytes) -> bytes:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), DEADLINE)
        received = b""
        try:
            self._socket.sendall(request)
            while not _whole(received, head=request.startswith(b"HEAD ")):
                chunk = self._socket.recv(65536)
                if not chunk:
                    self.close()
                    break
                received += chunk
                assert len(received) < _LIMIT
        except ConnectionError:
            # A server that refuses a request may reset the connection before or after its answer.
            self.close()
        return received[: _whole(received, head=request.startswith(b"HEAD ")) or None]


def _head(received: bytes) -> bytes:
    return received.partition(b"\r\n\r\n")[0].lower()


def _closes(received: bytes) -> bool:
    head = _head(received)
    return b"\r\nconnection: close" in head or head.startswith(b"http/1.0")


def _whole(received: bytes, *, head: bool) -> int:
    """Return where the answer ends, 0 when more must come."""
    start, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return 0
    before = len(start) + len(end)
    if head or int(start.split(b" ", 2)[1]) in _BODILESS:
        return before
    lines = start.lower().split(b"\r\n")
    for line in lines:
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
            return before + length if len(body) >= length else 0
    # Without a length the body ends with its last chunk, or with the connection.
    return len(received) if b"transfer-encoding: chunked" in lines and body.endswith(b"0\r\n\r\n") else 0


def exchange_or_none(port: int, request: bytes) -> Answer | None:
    """Send one request on a connection of its own; None when the server closes it without an answer."""
    with KeptConnection(port) as fresh:
        return fresh.exchange(request, last=True)
