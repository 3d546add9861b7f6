"""Producers and stores that live as long as the worker process."""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.fork import restart_in_child
from tenaudit.adapters.flask.middleware import GateMiddleware
from tenaudit.adapters.flask.portal import PORTAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask

__all__ = ["lifespan"]

# What `atexit` calls comes too late for stores that close on a thread pool: pools are shut before it. The pools
# themselves are shut by this list, last in first out.
_at_exit: Callable[[Callable[[], object]], object] = getattr(threading, "_register_atexit", atexit.register)


def lifespan(*parts: AbstractAsyncContextManager[Any], deadline: float = 30.0) -> Callable[[Flask], None]:
    """Return what makes *parts* live as long as the process that serves an application.

    They are entered in order before the first request of a process, on a loop of their own, and left in reverse when
    it ends. A server that forks its workers after loading the application starts them in each worker. While they
    cannot be started, requests are answered with 503 `unavailable` when `install` was called before; the next one
    tries again.

    Args:
        parts: what lives as long.
        deadline: seconds that starting and ending may take each; requests that come meanwhile wait a tenth of it.

    Example:
        >>> from flask import Flask
        >>> from tenaudit.audit import AuditProducer
        >>> from tenaudit.backends.memory import MemorySink
        >>> app = Flask("orders")
        >>> lifespan(AuditProducer(MemorySink(), service="orders"))(app)
    """

    def living(app: Flask) -> None:
        app.wsgi_app = _Living(app.wsgi_app, parts, deadline)  # type: ignore[method-assign]

    return living


class _Living:
    """Starts the parts before the first request of each process."""

    def __init__(
        self, app: WSGIApplication, parts: Iterable[AbstractAsyncContextManager[Any]], deadline: float
    ) -> None:
        self._app = app
        self._deadline = deadline
        self._parts = tuple(parts)
        self.after_fork()
        restart_in_child(self)

    def after_fork(self) -> None:
        """Be unstarted: at first, and in a forked child, whose parent may have held the lock."""
        self._lock = threading.Lock()
        self._is_started = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._is_started:
            try:
                self._start()
            except Exception as error:
                if not isinstance(self._app, GateMiddleware):
                    raise
                return self._app.unavailable(environ, start_response, error)
        return self._app(environ, start_response)

    def _start(self) -> None:
        if not self._lock.acquire(timeout=self._deadline / 10):
            raise TimeoutError("what this application needs is still being started")
        try:
            if self._is_started:
                return
            stack = PORTAL.run(_entered(self._parts), self._deadline)
            pid = os.getpid()
            # A child inherits the list of what is called at exit, but not what these parts run on.
            _at_exit(lambda: PORTAL.run(stack.aclose(), self._deadline) if os.getpid() == pid else None)
            self._is_started = True
        finally:
            self._lock.release()


async def _entered(parts: Iterable[AbstractAsyncContextManager[Any]]) -> AsyncExitStack:
    async with AsyncExitStack() as stack:
        for part in parts:
            await stack.enter_async_context(part)
        # One that fails, or is too late, leaves none of those before it open.
        return stack.pop_all()
