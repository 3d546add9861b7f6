"""The processes below another one, and their end: as Linux tells of them in /proc."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["descendants", "halt", "kill_all", "wait_until_gone"]

_PROC = Path("/proc")
_POLL = 0.01
# A zombie holds no file, no memory and no port; whether somebody reaps it is not up to who waits here.
_ENDED = ("Z", "X", "")
_HALTED = ("T", *_ENDED)


def descendants(pid: int) -> list[int]:
    """Children of *pid* and theirs, in whatever process groups they are; none where there is no /proc.

    Example:
        >>> descendants(os.getpid() + 2**22)
        []
    """
    children: dict[int, list[int]] = {}
    for entry in _PROC.glob("[0-9]*"):
        _, parent = _stat(int(entry.name))
        children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def halt(pid: int, within: float) -> bool:
    """Stop a process where it is, so that it starts no others; False when it still runs after *within* seconds."""
    _send([pid], signal.SIGSTOP)
    return _wait([pid], _HALTED, within)


def kill_all(pids: Sequence[int]) -> None:
    """Send SIGKILL to each; one that has ended is no error."""
    _send(pids, signal.SIGKILL)


def wait_until_gone(pids: Sequence[int], within: float) -> bool:
    """Return True once none of them runs, False when one still does after *within* seconds."""
    return _wait(pids, _ENDED, within)


def _send(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _wait(pids: Sequence[int], states: Sequence[str], within: float) -> bool:
    deadline = time.monotonic() + within
    while any(_stat(pid)[0] not in states for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def _stat(pid: int) -> tuple[str, int]:
    """State and parent of a process, "" and 0 of one that is gone."""
    try:
        line = (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "", 0
    # The name before the state stands in parentheses and may hold anything, parentheses too.
    state, parent = line.rpartition(")")[2].split()[:2]
    return state, int(parent)
