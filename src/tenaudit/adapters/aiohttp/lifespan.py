"""Producers and stores that live as long as the application."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp import web

__all__ = ["lifespan"]


def lifespan(*parts: AbstractAsyncContextManager[Any]) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return a clean-up context that enters *parts* in order and leaves them in reverse.

    Example:
        >>> from aiohttp import web
        >>> from tenaudit.audit import AuditProducer
        >>> from tenaudit.backends.memory import MemorySink
        >>> app = web.Application()
        >>> app.cleanup_ctx.append(lifespan(AuditProducer(MemorySink(), service="orders")))
    """

    async def living(_app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for part in parts:
                await stack.enter_async_context(part)
            yield

    return living
