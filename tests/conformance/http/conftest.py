"""One server process for each framework, started when a test first asks for it, stopped at the end."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tenaudit.testing.services.port import accepts, free_port
from tests.conformance.http.variants import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ADAPTERS = ("starlette", "flask", "aiohttp")
_ROOT = Path(__file__).parents[3]
_START_SECONDS = 60.0
_TRIES = 3


class Shops:
    """The ports of every variant of the shop, by framework."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._stack = ExitStack()
        self._ports: dict[str, dict[str, int]] = {}

    def port(self, adapter: str, variant: str) -> int:
        if adapter not in self._ports:
            self._ports[adapter] = self._started(adapter)
        return self._ports[adapter][variant]

    def _started(self, adapter: str) -> dict[str, int]:
        for left in reversed(range(_TRIES)):
            ports = {variant: free_port() for variant in VARIANTS}
            try:
                self._stack.enter_context(serving(adapter, ports, self._logs / f"{adapter}.log"))
            except RuntimeError:
                # Somebody else may have taken one of the ports in between.
                if not left:
                    raise
            else:
                return ports
        raise AssertionError

    def close(self) -> None:
        self._stack.close()


@contextmanager
def serving(adapter: str, ports: dict[str, int], log: Path) -> Iterator[None]:
    """Run the server of one framework until the block ends; it is ready when every port accepts."""
    command = [sys.executable, "-m", "tests.conformance.http.serve", adapter]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, *(f"{v}={p}" for v, p in ports.items())], cwd=_ROOT, stdout=output, stderr=output
        ) as process,
    ):
        try:
            deadline = time.monotonic() + _START_SECONDS
            for port in ports.values():
                while not accepts(port):
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"{adapter} did not start:\n{log.read_text()}")
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="session")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shops]:
    started = Shops(tmp_path_factory.mktemp("shops"))
    yield started
    started.close()
