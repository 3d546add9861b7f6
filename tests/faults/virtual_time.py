"""An event loop whose time is a number: ten minutes of waiting take as long as the work in them."""

from __future__ import annotations

import asyncio
import selectors

__all__ = ["LoopClock", "VirtualTimeLoop", "run_virtual"]

_START = 1_700_000_000.0
_REAL_SECONDS = 30.0


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits for time to pass: it moves time instead, unless a thread is still to answer."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.threads = 0

    def select(self, timeout=None):
        if self.threads:
            # Time stands still while a thread works: what it takes on this machine is not what is simulated.
            ready = super().select(0 if timeout == 0 else _REAL_SECONDS)
            if not ready and timeout != 0:
                raise RuntimeError(f"a thread of the simulation has not answered within {_REAL_SECONDS} s")
            return ready
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("the simulation hangs: nothing waits for a time or for a thread")
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer whenever nothing else is to do.

    Work on threads counts as no time at all, so the same seed is the same run however slow the disk is.
    """

    def __init__(self):
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self):
        return self._jumping.now

    def run_in_executor(self, executor, func, *args):
        future = super().run_in_executor(executor, func, *args)
        self._jumping.threads += 1
        future.add_done_callback(self._answered)
        return future

    async def shutdown_default_executor(self, *timeout):
        self._jumping.threads += 1
        await super().shutdown_default_executor(*timeout)
        self._jumping.threads -= 1

    def _answered(self, future):
        self._jumping.threads -= 1


class LoopClock:
    """A `Clock` of the running loop's time, whose wall clock a test may step."""

    def __init__(self, start=_START):
        self._loop = asyncio.get_running_loop()
        self._ahead = start

    def jump_wall(self, seconds):
        self._ahead += seconds

    def time_ns(self):
        return round((self._ahead + self._loop.time()) * 1e9)

    def monotonic(self):
        return self._loop.time()


def run_virtual(main):
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
