"""What the call that emits an event promises of it, from the weakest to the strongest: buffered, durable, atomic."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tenaudit.audit.schema.declared import DURABILITIES, Durability

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_kept", "promised", "promising"]

_promise: ContextVar[Durability] = ContextVar("tenaudit_promise", default="buffered")


def promised() -> Durability:
    """Return what the call promises that runs now; plain `emit`, which names nothing, is buffered."""
    return _promise.get()


@contextmanager
def promising(durability: Durability) -> Iterator[None]:
    """Say what is promised of every event that is made in a block, which awaits nothing.

    >>> with promising("atomic"):
    ...     promised()
    'atomic'
    """
    token = _promise.set(durability)
    try:
        yield
    finally:
        _promise.reset(token)


def is_kept(declared: Durability, promise: Durability) -> bool:
    """Tell whether a promise is what an action was declared to need, or more.

    >>> is_kept("durable", "atomic"), is_kept("durable", "buffered")
    (True, False)
    """
    return DURABILITIES.index(promise) >= DURABILITIES.index(declared)
