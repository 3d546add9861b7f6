"""A server that a test may kill, and start again where it was."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from tenaudit.testing.services.process import started
from tenaudit.testing.services.service import KafkaService, PostgresService, ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenaudit.testing.services.process import Child, Program

__all__ = ["Restartable", "serving"]

_Service = TypeVar("_Service", PostgresService, KafkaService)


class Restartable(Generic[_Service]):
    """A running server; made by `restartable_postgres` and `restartable_kraft`, which also stop it.

    Each start is on the same port with the same data folder, so `service` stays as it is.

    Example:
        >>> from tenaudit.testing.services import restartable_postgres
        >>> with restartable_postgres() as server:
        ...     before = server.service
        ...     server.kill()
        ...     server.start()
        ...     server.service == before
        True
    """

    def __init__(self, program: Program, ready: Callable[[Child], _Service]) -> None:
        self._program = program
        self._ready: Callable[[Child], _Service] = ready
        self._child = started(program)
        self._service: _Service | None = None

    @property
    def service(self) -> _Service:
        """Where it is reached, whether it runs at this moment or not.

        Raises:
            ServiceUnavailable: it was never ready.
        """
        if self._service is None:
            raise ServiceUnavailable(f"{self._program.name} was never ready")
        return self._service

    def kill(self) -> None:
        """Send SIGKILL to the server and to all that it has started; return once none of them runs.

        What a server wrote to files stays, also what it did not sync; what it kept in memory is lost.

        Raises:
            ServiceUnavailable: one still runs after the time that stopping may take.
        """
        self._child.kill()

    def start(self) -> None:
        """Start it again after `kill`; return once it answers its own protocol.

        Raises:
            ServiceUnavailable: it runs already, or is not ready within the time that its first start may take.
        """
        if self._child.wait(0) is None:
            raise ServiceUnavailable(f"{self._program.name} runs already")
        self._child = started(self._program)
        self.wait()

    def wait(self) -> None:
        """Return once it answers its own protocol.

        Raises:
            PortTaken: it ended because its port was in use.
            ServiceUnavailable: it ended, or is not ready in time.
        """
        self._service = self._ready(self._child)

    def stop(self) -> None:
        """End it in good order, or in any."""
        self._child.stop()


@contextmanager
def serving(program: Program, ready: Callable[[Child], _Service]) -> Iterator[Restartable[_Service]]:
    """Run *program* for the length of the block; *ready* waits for it and tells where it is.

    Raises:
        PortTaken: it ended because its port was in use.
        ServiceUnavailable: it cannot be started, ended, or is not ready in time.
    """
    server = Restartable(program, ready)
    try:
        server.wait()
        yield server
    finally:
        server.stop()
