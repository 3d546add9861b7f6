"""A client that sends the bytes it is given and shows the bytes it gets: no folding, no following, no guessing."""

from __future__ import annotations

import socket
from typing import NamedTuple

DEADLINE = 10.0
Text = str | bytes


class Answer(NamedTuple):
    """A response as it came: status, header pairs with lower-case names, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for other, value in self.headers if other == name]
        return ",".join(values) if values else None


class NoAnswer(Exception):  # noqa: N818 - what happened
    """The server closed the connection without a response, as it may to a request that is none."""


def request_bytes(method: str, target: str, headers: list[tuple[Text, Text]], body: bytes = b"") -> bytes:
    """Return a request; `Host` is added, and `Content-Length` when there is a body."""
    lines = [f"{method} {target} HTTP/1.1".encode()]
    if not any(_bytes(name).lower() == b"host" for name, _ in headers):
        lines.append(b"Host: shop.test")
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in headers]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"Connection: close", b"", body])


def _bytes(text: Text) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def exchange(port: int, request: bytes) -> Answer:
    """Send one request on a connection of its own and read all that comes until it is closed.

    Raises:
        NoAnswer: nothing came.
    """
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
        connection.settimeout(DEADLINE)
        received = b""
        try:
            connection.sendall(request)
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionError:
            pass  # a server that refuses a body resets the connection after its answer
    if not received:
        raise NoAnswer
    return parse(received, head=request.startswith(b"HEAD "))


def parse(received: bytes, *, head: bool = False) -> Answer:
    start, _, body = received.partition(b"\r\n\r\n")
    lines = start.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines[1:]]
    headers = [(name.lower(), value.strip()) for name, _, value in pairs]
    if not head and ("transfer-encoding", "chunked") in headers:
        body = _dechunked(body)
    return Answer(int(lines[0].split(" ")[1]), headers, body)


def _dechunked(body: bytes) -> bytes:
    pieces = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            return pieces
        pieces, body = pieces + body[:length], body[length + 2 :]
