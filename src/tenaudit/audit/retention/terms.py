"""How long a tenant's events are kept, and which of them a store no longer takes; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.bounds import check_counts
from tenaudit.audit.event import wire_time

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["DEFAULT_DAYS", "MAX_DAYS", "Hold", "RetentionSettings", "TenantTerms", "checked_days", "cutoff"]

DEFAULT_DAYS = 30
"""Days that events are kept where nobody said otherwise."""
MAX_DAYS = 36_500
"""Longest period: a hundred years."""

_BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)


def checked_days(days: object, name: str = "days") -> int:
    """Return a period.

    Raises:
        ConfigurationError: it is no whole number of days from 1 to 36500; it names the setting.
    """
    check_counts(most=MAX_DAYS, **{name: days})
    assert isinstance(days, int)
    return days


def cutoff(now: datetime, days: int) -> datetime:
    """Return the time before which events may go; periods count from `occurred_at`.

    >>> cutoff(datetime(2026, 1, 31, tzinfo=UTC), 30).date().isoformat()
    '2026-01-01'
    """
    try:
        return now - timedelta(days=days)
    except OverflowError:
        return _BEFORE_ALL


@dataclass(frozen=True, slots=True)
class TenantTerms:
    """What a store knows of one tenant's retention.

    Args:
        tenant_id: whose.
        days: the tenant's own period, None when the default one holds.
        held: whether a legal hold keeps everything.
        purged_before: every event that was ever purged occurred before it; None before the first purge.

    Example:
        >>> from uuid import UUID
        >>> moment = datetime(2026, 6, 1, tzinfo=UTC)
        >>> terms = TenantTerms(UUID(int=1), days=None, held=False, purged_before=datetime(2026, 5, 2, tzinfo=UTC))
        >>> [terms.expires(datetime(2026, 5, day, tzinfo=UTC), 30, moment) for day in (1, 2)]
        [True, False]
    """

    tenant_id: UUID
    days: int | None
    held: bool
    purged_before: datetime | None

    def period(self, default_days: int) -> int:
        """Return the days that hold for the tenant."""
        return default_days if self.days is None else self.days

    def expires(self, occurred_at: datetime, default_days: int, now: datetime) -> bool:
        """Tell whether an event that is not there must not come (back): it is past its period, and so was a purge.

        Before the first purge nothing expires, so that old events can be brought in and kept until then.
        """
        if self.held or not self.may_be_purged(occurred_at):
            return False
        return occurred_at < cutoff(now, self.period(default_days))

    def may_be_purged(self, occurred_at: datetime) -> bool:
        """Tell whether an event of that time can be one that was purged."""
        return self.purged_before is not None and occurred_at < self.purged_before

    def to_json(self, default_days: int) -> dict[str, Any]:
        """Return the JSON form; `days` is what holds, and `own` whether the tenant has a period of its own."""
        return {
            "tenant_id": str(self.tenant_id),
            "days": self.period(default_days),
            "own": self.days is not None,
            "held": self.held,
            "purged_before": None if self.purged_before is None else wire_time(self.purged_before),
        }


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """What a store keeps, and for how long.

    Args:
        default_days: the period of tenants that have none of their own.
        tenants: what is known of each tenant that has a log, in order.

    Example:
        >>> RetentionSettings(30, ()).default_days
        30
    """

    default_days: int
    tenants: tuple[TenantTerms, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold that is in force.

    Args:
        tenant_id: whose events it keeps.
        by: who placed it.
        reason: why.
        at: when.

    Example:
        >>> from uuid import UUID
        >>> Hold(UUID(int=1), "legal@example.org", "case 7", datetime(2026, 1, 1, tzinfo=UTC)).to_json()["reason"]
        'case 7'
    """

    tenant_id: UUID
    by: str
    reason: str
    at: datetime

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"tenant_id": str(self.tenant_id), "by": self.by, "reason": self.reason, "at": wire_time(self.at)}
