"""What an erasure did, or would do, and what it does not reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenaudit.audit.event import wire_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

__all__ = ["ErasureReport", "Unreached"]


@dataclass(frozen=True, slots=True)
class Unreached:
    """Something that may hold a value of the person still.

    Args:
        what: its name.
        how: what to do about it.
        count: how many there are, None where nobody can tell.
        names: which they are, as far as they have names.
    """

    what: str
    how: str
    count: int | None = None
    names: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"what": self.what, "how": self.how, "count": self.count, "names": [*self.names]}


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What became of a person's values in the trail of one tenant. It does not name the person.

    Args:
        at: when it began.
        tenant_id: whose trail.
        dry_run: whether nothing was changed.
        events: events that values were taken out of, or would be.
        values: how many values.
        others: rows beside the log that went, or would, by what they are.
        altered: events that hold a value and are not what was logged; they stay for `verify` to name.
        not_reached: what may hold a value still.
        complete: whether it came to its end; the next erasure goes on where this one stopped.

    Example:
        >>> from datetime import UTC, datetime
        >>> from uuid import UUID
        >>> ErasureReport(datetime(2026, 1, 1, tzinfo=UTC), UUID(int=1), dry_run=True, events=2).to_json()["events"]
        2
    """

    at: datetime
    tenant_id: UUID
    dry_run: bool
    events: int = 0
    values: int = 0
    others: Mapping[str, int] | None = None
    altered: int = 0
    not_reached: tuple[Unreached, ...] = ()
    complete: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "at": wire_time(self.at),
            "tenant_id": str(self.tenant_id),
            "dry_run": self.dry_run,
            "complete": self.complete,
            "events": self.events,
            "values": self.values,
            "others": dict(self.others or {}),
            "altered": self.altered,
            "not_reached": [one.to_json() for one in self.not_reached],
        }
