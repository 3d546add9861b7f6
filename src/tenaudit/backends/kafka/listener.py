"""What a group tells its members: which partitions they lose, and which they get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenaudit._kernel.extras import MissingExtra

try:
    from aiokafka import ConsumerRebalanceListener
except ImportError as error:
    raise MissingExtra("kafka", "aiokafka") from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

__all__ = ["Listener"]


class Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Passes it on.

    Args:
        revoked: called before partitions are taken away, all of them at once.
        assigned: called with the number of those that this member has.
    """

    def __init__(self, revoked: Callable[[], Awaitable[None]], assigned: Callable[[int], None]) -> None:
        self._revoked = revoked
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:  # noqa: ARG002 - all of them go at once
        """See *revoked*."""
        await self._revoked()

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """See *assigned*."""
        self._assigned(len(list(assigned)))
