"""Producers and stores that live as long as the application."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["lifespan"]


def lifespan(
    *parts: AbstractAsyncContextManager[Any],
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan that enters *parts* in order and leaves them in reverse.

    Example:
        >>> from starlette.applications import Starlette
        >>> from tenaudit.audit import AuditProducer
        >>> from tenaudit.backends.memory import MemorySink
        >>> app = Starlette(lifespan=lifespan(AuditProducer(MemorySink(), service="orders")))
    """

    @asynccontextmanager
    async def living(_app: Any) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for part in parts:
                await stack.enter_async_context(part)
            yield

    return living
