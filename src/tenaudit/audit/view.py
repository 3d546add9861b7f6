"""An event as one reader may see it: whole, or with the listed fields masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenaudit.audit.event import AuditEvent

__all__ = ["EventRedactor", "event_view"]


class EventRedactor(Protocol):
    """What hides fields of an event: a `Redactor`, or a `RedactionPolicy`, which looks at the tenant too."""

    def __call__(self, event: Mapping[str, Any], /) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return what may be seen of the wire form of an event, and tags that name what was touched."""
        ...


def event_view(
    event: AuditEvent, redactor: EventRedactor | None, *, may_unredact: bool, show_tags: bool = False
) -> dict[str, Any]:
    """Return the wire form of *event* for a reader.

    Args:
        event: the stored event.
        redactor: what to hide from those who may not see it; None hides nothing.
        may_unredact: whether the reader sees everything.
        show_tags: whether `redactions` also names what was hidden for this reader.
    """
    record = event.record()
    if may_unredact or redactor is None:
        return record
    redacted, tags = redactor(record)
    if show_tags and tags:
        redacted["redactions"] = [*event.redactions, *tags]
    return redacted
