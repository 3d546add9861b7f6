"""What one member of a fan-out counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.errors.instruments import counter, gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["MemberMetrics"]


class MemberMetrics:
    """The three families of a fan-out, for one member.

    Args:
        registry: where they live; prometheus-client's default one when None.
        member: the name.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> registry = CollectorRegistry()
        >>> MemberMetrics(registry, "search").dropped(2)
        >>> registry.get_sample_value("audit_fanout_dropped_total", {"member": "search"})
        2.0
    """

    __slots__ = ("_dropped", "_member", "_open", "_writes")

    def __init__(self, registry: CollectorRegistry | None, member: str) -> None:
        self._member = member
        self._writes = counter(
            registry, "audit_fanout_writes_total", "Writes to a member by their outcome.", ("member", "outcome")
        )
        self._dropped = counter(
            registry, "audit_fanout_dropped_total", "Events that a member will not get.", ("member",)
        ).labels(member)
        self._open = gauge(
            registry, "audit_fanout_breaker_open", "Whether a member is left alone after failures.", ("member",)
        ).labels(member)

    def wrote(self, outcome: str) -> None:
        """Count one write."""
        self._writes.labels(self._member, outcome).inc()

    def dropped(self, events: int) -> None:
        """Count events that the member will not get."""
        self._dropped.inc(events)

    def breaker(self, is_open: bool) -> None:  # noqa: FBT001 - the value itself
        """Set whether the breaker keeps writes away."""
        self._open.set(is_open)
