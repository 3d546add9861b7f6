"""The three servers of an audit service as processes of their own, and a client that follows them."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tenaudit.testing.services.port import accepts, free_port
from tests.conformance.http.raw_http import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.gate.sse import EventSource

__all__ = ["ADAPTERS", "Follower", "Printed", "running"]

ADAPTERS = ("starlette", "flask", "aiohttp")
_ROOT = Path(__file__).parents[2]


@contextmanager
def running(folder: Path, module: str, *words: str) -> Iterator[dict[str, int]]:
    """Run `python -m MODULE ADAPTER PORT WORD...` for each adapter, give out their ports, and see that none failed."""
    ports: dict[str, int] = {}
    with ExitStack() as stack:
        for adapter in ADAPTERS:
            ports[adapter] = free_port()
            command = [sys.executable, "-m", module, adapter, str(ports[adapter]), *words]
            log = stack.enter_context((folder / f"{adapter}.log").open("wb"))
            process = subprocess.Popen(command, cwd=_ROOT, stdout=log, stderr=log)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
        deadline = time.monotonic() + 60
        for adapter, port in ports.items():
            while not accepts(port):
                assert time.monotonic() < deadline, (folder / f"{adapter}.log").read_text()
        yield ports
        # A client that goes away is no fault, and nothing else was one.
        logs = {adapter: (folder / f"{adapter}.log").read_text() for adapter in ADAPTERS}
        assert [adapter for adapter, log in logs.items() if "Traceback" in log or "rror" in log] == [], logs


class Follower:
    """One connection of a client that follows, over `http.client`, which reads the chunks."""

    def __init__(self, port: int, source: EventSource, headers: list[Any], target: str = "/audit/tail") -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        fields = dict(headers) | ({"Last-Event-ID": source.last_event_id} if source.last_event_id else {})
        self._connection.request("GET", target, headers=fields)
        self.answer = self._connection.getresponse()
        self._source = source
        source.connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.answer.close()
        self._connection.close()

    def read_until(self, done: Callable[[], bool]) -> None:
        """Read on until it holds."""
        deadline = time.monotonic() + DEADLINE
        while not done():
            piece = self.answer.read1()
            assert piece
            assert time.monotonic() < deadline
            self._source.feed(piece)


class Printed(io.TextIOWrapper):
    """Standard output of a person who presses Ctrl-C when all that is there has been shown."""

    def __init__(self, *, interrupts: bool) -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding="utf-8", newline="")
        self._interrupts = interrupts

    def flush(self) -> None:
        super().flush()
        if self._interrupts and self.text():
            self._interrupts = False
            raise KeyboardInterrupt

    def text(self) -> str:
        return self._bytes.getvalue().decode()
