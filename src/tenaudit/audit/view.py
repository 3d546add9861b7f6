"""An event as one reader may see it: whole, or with the listed fields masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.redaction import Redactor

__all__ = ["event_view"]


def event_view(
    event: AuditEvent, redactor: Redactor | None, *, may_unredact: bool, show_tags: bool = False
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
