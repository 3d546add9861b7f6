"""The leaf of an event as a line of an export shows it: the one place that knows how.

Pure: JSON values in, a hash out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenaudit.audit.integrity.audit_log import event_leaf
from tenaudit.audit.integrity.canonical import CanonicalError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["exported_leaf"]


def exported_leaf(record: Mapping[str, Any], openings: Mapping[str, Mapping[str, str]] | None = None) -> bytes:
    """Return the leaf hash that a record must have been logged with (RFC 9162 section 2.1.1 over RFC 8785).

    Args:
        record: the event's wire form, without what the export added to it.
        openings: what opens commitments of fields, by JSON pointer; this version logs none, so None.

    Raises:
        CanonicalError: the record has no canonical form, so it never was logged; or openings were given.

    Example:
        >>> exported_leaf({"action": "order.created"}).hex()[:8]
        '3fad3440'
    """
    if openings is not None:
        raise CanonicalError("openings: this version of tenaudit knows no commitments of fields")
    return event_leaf(record)
