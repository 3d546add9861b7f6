"""What a member said to a write."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

__all__ = ["FAILURES", "OK", "Answer"]

# What speaks against a member; `busy` is that an earlier write still runs there. `open`, its breaker, does not, and
# `rejected` is as good a sign of life as `ok`.
FAILURES = frozenset({"unavailable", "timeout", "busy"})


class Answer(NamedTuple):
    """A member's answer.

    Args:
        outcome: `ok`, `rejected`, `unavailable`, `timeout`, `busy` or `open`.
        refused: the events that it will never take, each with the reason.
        reason: the reason of a refusal that named no event.

    Example:
        >>> OK.outcome, dict(OK.refused)
        ('ok', {})
    """

    outcome: str
    refused: Mapping[UUID, str] = {}
    reason: str = ""


OK = Answer("ok")
