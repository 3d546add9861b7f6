"""What every format of existing audit logs offers, and how it says no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tenaudit._kernel.error import TenauditError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from tenaudit.audit.event import AuditEvent

__all__ = ["BrokenFile", "Importer", "Refused"]


class Refused(TenauditError, ValueError):  # noqa: N818 - a refusal of one record that is reported, not a fault
    """The record cannot become an event.

    Args:
        reason: stable word that reports count by.
        detail: one sentence for a person.

    Example:
        >>> str(Refused("missing_field", "eventID is missing"))
        'missing_field: eventID is missing'
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class BrokenFile(Refused):
    """The file as a whole cannot be read; none of its records is used.

    Example:
        >>> BrokenFile("invalid_json", "Expecting value at character 0").reason
        'invalid_json'
    """


class Importer(Protocol):
    """One format: how a file falls into records, and what event a record is."""

    @property
    def name(self) -> str:
        """The name that `tenaudit import --format` takes."""
        ...

    def records(self, text: str) -> Iterator[Any]:
        """Yield the records of a file in order; raise `BrokenFile` before the first when it is not one."""
        ...

    def event(self, record: Any, tenant_id: UUID | None = None) -> AuditEvent:
        """Return the event of a record, the same each time; raise nothing but `Refused`."""
        ...
