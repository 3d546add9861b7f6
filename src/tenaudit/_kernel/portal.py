"""One event loop on one thread, for synchronous frameworks that must wait for something asynchronous."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from tenaudit._kernel.fork import restart_in_child

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["Portal", "finish"]

_T = TypeVar("_T")
_SECONDS = 30.0


class Portal:
    """Runs coroutines on a loop of its own, which starts on first use and ends with the process.

    A forked child starts its own: threads do not survive a fork. Context variables of the caller are seen by the
    coroutine.

    Example:
        >>> import asyncio
        >>> portal = Portal()
        >>> portal.run(asyncio.sleep(0, "done"))
        'done'
        >>> portal.close()
    """

    def __init__(self) -> None:
        self.after_fork()
        restart_in_child(self)

    def after_fork(self) -> None:
        """Start from nothing: at first, and in a forked child, where neither thread nor lock can be relied on."""
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, coroutine: Coroutine[Any, Any, _T], timeout: float = _SECONDS) -> _T:
        """Return the result of *coroutine*.

        Args:
            coroutine: what to wait for; it is cancelled when the time is up.
            timeout: seconds.

        Raises:
            TimeoutError: the time was up.
            RuntimeError: it is called on the portal's own thread, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("what runs on the portal's loop cannot wait for it; await instead")
        # Handed over under the lock: behind a `close` nothing would run it, nor end the wait for it.
        with self._lock:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._running())
        try:
            return future.result(timeout)
        except BaseException:
            # Also when this thread is interrupted: nothing goes on for a caller that is gone.
            future.cancel()
            raise

    def close(self) -> None:
        """Stop the loop and its thread, waiting for it at most 30 s; the next `run` starts another."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
            if loop is None or thread is None:
                return
        loop.call_soon_threadsafe(loop.stop)
        if threading.current_thread() is not thread:
            thread.join(_SECONDS)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_serve, args=(self._loop,), name="tenaudit-portal", daemon=True)
            self._thread.start()
        return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(_cancel_the_rest())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _cancel_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def finish(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Return the result of a coroutine that waits for nothing, without any loop.

    Raises:
        RuntimeError: it does wait.

    Example:
        >>> async def three():
        ...     return 3
        >>> finish(three())
        3
    """
    try:
        coroutine.send(None)
    except StopIteration as stopped:
        result: _T = stopped.value
        return result
    coroutine.close()
    raise RuntimeError("the coroutine waits, and there is no loop here")
