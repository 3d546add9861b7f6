"""The loop that synchronous views wait on: for credentials of an edge, a shared limiter, a store of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tenaudit._kernel.portal import Portal
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["GRACE", "PORTAL", "answer_of"]

_T = TypeVar("_T")

PORTAL = Portal()

# Seconds beyond the deadline that a coroutine keeps by itself: what blocks the loop keeps none.
GRACE = 1.0


def answer_of(coroutine: Coroutine[Any, Any, _T], deadline: float) -> _T:
    """Return the result of *coroutine*, which should take *deadline* seconds at most.

    Raises:
        ApiError: 503 `unavailable` when it takes longer.
    """
    try:
        return PORTAL.run(coroutine, deadline + GRACE)
    except TimeoutError as error:
        raise ApiError.unavailable(retry_after=1) from error
