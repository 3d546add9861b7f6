"""How many dead letters `tenaudit consume` keeps before it waits for room."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tenaudit.audit.consumer import DeadLetterBounds

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bounds_options"]

_R = TypeVar("_R")
_MIB = 2**20


def bounds_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Give a command the options of the bounds; it gets `bounds`, a `DeadLetterBounds`."""

    @click.option(
        "--max-dead-letters",
        type=click.IntRange(1, 10**9),
        default=10_000,
        show_default=True,
        help="Most dead letters to keep; with more to come, it waits until some are replayed or discarded.",
    )
    @click.option(
        "--max-dead-letter-mib",
        type=click.IntRange(2, 10**6),
        default=256,
        show_default=True,
        help="Most MiB of them; likewise.",
    )
    @wraps(command)
    def bounded(*args: Any, max_dead_letters: int, max_dead_letter_mib: int, **options: Any) -> _R:
        bounds = DeadLetterBounds(letters=max_dead_letters, bytes=max_dead_letter_mib * _MIB)
        return command(*args, bounds=bounds, **options)

    return bounded
