"""Producers and stores that live as long as the worker process."""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any

from tenaudit.adapters.flask.portal import PORTAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask

__all__ = ["lifespan"]

_CLOSING_SECONDS = 30.0
# What `atexit` calls comes too late for stores that close on a thread pool: pools are shut before it. The pools
# themselves are shut by this list, last in first out.
_at_exit: Callable[[Callable[[], object]], object] = getattr(threading, "_register_atexit", atexit.register)


def lifespan(*parts: AbstractAsyncContextManager[Any]) -> Callable[[Flask], None]:
    """Return what makes *parts* live as long as the process that serves an application.

    They are entered in order before the first request of a process, on a loop of their own, and left in reverse when
    it ends. A server that forks its workers after loading the application starts them in each worker.

    Example:
        >>> from flask import Flask
        >>> from tenaudit.audit import AuditProducer
        >>> from tenaudit.backends.memory import MemorySink
        >>> app = Flask("orders")
        >>> lifespan(AuditProducer(MemorySink(), service="orders"))(app)
    """

    def living(app: Flask) -> None:
        app.wsgi_app = _Living(app.wsgi_app, parts)  # type: ignore[method-assign]

    return living


class _Living:
    """Starts the parts before the first request of each process."""

    def __init__(self, app: WSGIApplication, parts: Iterable[AbstractAsyncContextManager[Any]]) -> None:
        self._app = app
        self._parts = tuple(parts)
        self._lock = threading.Lock()
        self._pid = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._pid != os.getpid():
            self._start()
        return self._app(environ, start_response)

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            stack = AsyncExitStack()
            PORTAL.run(_enter(stack, self._parts), _CLOSING_SECONDS)
            _at_exit(lambda: PORTAL.run(stack.aclose(), _CLOSING_SECONDS))
            self._pid = os.getpid()


async def _enter(stack: AsyncExitStack, parts: Iterable[AbstractAsyncContextManager[Any]]) -> None:
    for part in parts:
        await stack.enter_async_context(part)
