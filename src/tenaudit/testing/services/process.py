"""Child processes that never outlive the block that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tenaudit.testing.services.process_tree import descendants, halt, kill_all, wait_until_gone
from tenaudit.testing.services.service import PortTaken, ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["Account", "Child", "Program", "run", "running", "started", "wait_ready"]

_Answer = TypeVar("_Answer")
_POLL = 0.05
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group ids that a child runs under, when not the caller's own.

    Example:
        >>> Account(uid=65534, gid=65534).uid
        65534
    """

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and how to stop it.

    Args:
        argv: absolute path of the executable, then its arguments.
        folder: working directory.
        log: file that takes standard output and error.
        env: whole environment of the child; the caller's own when None.
        account: ids to switch to; needs root.
        stop_signal: the polite request to end.
        stop_within: seconds from that request to SIGKILL for the whole process group.

    Example:
        >>> from pathlib import Path
        >>> Program(argv=("/bin/true",), folder=Path("/tmp"), log=Path("/tmp/true.log")).stop_within
        10.0
    """

    argv: tuple[str, ...]
    folder: Path
    log: Path
    env: Mapping[str, str] | None = None
    account: Account | None = None
    stop_signal: int = signal.SIGTERM
    stop_within: float = 10.0

    @property
    def name(self) -> str:
        """Base name of the executable."""
        return os.path.basename(self.argv[0])  # noqa: PTH119 - argv holds plain strings


class Child:
    """A started process; made by `started`, or by `running`, which also ends it.

    Example:
        >>> import sys, tempfile; from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as name:
        ...     program = Program((sys.executable, "-c", "print(7)"), Path(name), Path(name, "log"))
        ...     with running(program) as child:
        ...         child.wait(30.0), child.log_tail()
        (0, '7')
    """

    def __init__(self, popen: subprocess.Popen[bytes], program: Program) -> None:
        self._popen = popen
        self._program = program

    @property
    def pid(self) -> int:
        """Process id, and the id of the process group that the child leads."""
        return self._popen.pid

    def wait(self, within: float) -> int | None:
        """Exit status, or None when the child still runs after *within* seconds."""
        try:
            return self._popen.wait(within)
        except subprocess.TimeoutExpired:
            return None

    def log_tail(self) -> str:
        """The last 4 KiB that the child printed."""
        with self._program.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return log.read().decode(errors="replace").strip()

    def failure(self, what: str) -> ServiceUnavailable:
        """The error that tells *what* went wrong, with what the child printed last."""
        tail = self.log_tail()
        kind = PortTaken if "address already in use" in tail.lower() else ServiceUnavailable
        return kind(f"{self._program.name} {what}; it printed last:\n{tail or '(nothing)'}")

    def stop(self) -> None:
        """Ask the child to end, then end its whole group; returns once the child is reaped."""
        if self._popen.poll() is None:
            self._popen.send_signal(self._program.stop_signal)
            self.wait(self._program.stop_within)
        # The group is swept even after a clean exit: a server may leave workers behind.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait(self._program.stop_within)

    def kill(self) -> None:
        """End the child and all its descendants at once, as `kill -9` of each does; returns once none runs.

        Raises:
            ServiceUnavailable: one still runs after `stop_within` seconds.
        """
        if self._popen.poll() is not None:
            return
        within = self._program.stop_within
        # Halted first: it starts no further ones meanwhile, and learns of no child's end before its own.
        halted = halt(self.pid, within)
        below = descendants(self.pid)
        kill_all([*below, self.pid])
        if not (halted and self.wait(within) is not None and wait_until_gone(below, within)):
            raise self.failure("was killed, but a child of it may still run")


def started(program: Program) -> Child:
    """Start *program* in a process group of its own; whoever calls this stops it.

    Raises:
        ServiceUnavailable: the executable cannot be started.
    """
    account = program.account
    with program.log.open("ab") as log:
        try:
            popen = subprocess.Popen(  # noqa: S603 - argv is built by this package, no shell
                program.argv,
                cwd=program.folder,
                env=program.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        except OSError as error:
            raise ServiceUnavailable(f"{program.argv[0]} cannot be started: {error}") from error
    return Child(popen, program)


@contextmanager
def running(program: Program) -> Iterator[Child]:
    """Run *program* in a process group of its own for the length of the block.

    Raises:
        ServiceUnavailable: the executable cannot be started.
    """
    child = started(program)
    try:
        yield child
    finally:
        child.stop()


def run(program: Program, *, within: float) -> str:
    """Run *program* to its end and return the last of what it printed.

    Raises:
        ServiceUnavailable: it failed, or was still busy after *within* seconds.
    """
    with running(program) as child:
        status = child.wait(within)
        if status is None:
            raise child.failure(f"did not finish within {within:g} s")
        if status != 0:
            raise child.failure(f"failed with status {status}")
        return child.log_tail()


def wait_ready(child: Child, probe: Callable[[], _Answer | None], *, within: float) -> _Answer:
    """Return the first answer of *probe* that is not None.

    Raises:
        PortTaken: the child ended because its port was in use.
        ServiceUnavailable: the child ended, or *within* seconds passed.
    """
    deadline = time.monotonic() + within
    while True:
        if (status := child.wait(_POLL)) is not None:
            raise child.failure(f"ended with status {status} before it was ready")
        if (answer := probe()) is not None:
            return answer
        if time.monotonic() > deadline:
            raise child.failure(f"was not ready within {within:g} s")
