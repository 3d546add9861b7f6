"""What every format of existing audit logs offers, and how it says no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from tenaudit._kernel.error import TenauditError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from tenaudit.audit.event import AuditEvent

__all__ = ["BrokenFile", "Found", "Importer", "LineImporter", "Passed", "Refused"]


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


class Passed(TenauditError):  # noqa: N818 - a record that is well and not wanted, not a fault
    """The record is no event of its own, such as an earlier stage of a request that another record tells whole.

    Args:
        reason: stable word that reports count by.

    Example:
        >>> Passed("request_received").reason
        'request_received'
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"passed over: {reason}")
        self.reason = reason


class Found(NamedTuple):
    """A record of a file.

    Args:
        value: what `json` reads.
        line: its line, from 1, in a file of lines; None elsewhere.
        refusal: why it could not be read; *value* means nothing then.

    Example:
        >>> Found({"id": "1"}, line=3).line
        3
    """

    value: Any
    line: int | None = None
    refusal: Refused | None = None


class Importer(Protocol):
    """One format: how a file falls into records, and what event a record is."""

    @property
    def name(self) -> str:
        """The name that `tenaudit import --format` takes."""
        ...

    @property
    def about(self) -> str:
        """What its files are, in half a sentence."""
        ...

    @property
    def needs_tenant(self) -> bool:
        """Whether no record of this format says whose it is, so that the caller must."""
        ...

    def records(self, text: str) -> Iterator[Found]:
        """Yield the records of a file in order; raise `BrokenFile` before the first when it is not one."""
        ...

    def event(self, record: Any, tenant_id: UUID | None = None) -> AuditEvent:
        """Return the event of a record, the same each time; raise nothing but `Refused` and `Passed`."""
        ...


@runtime_checkable
class LineImporter(Importer, Protocol):
    """A format whose files may have one record a line, and so be read in pieces, however large they are."""

    def lines(self, text: str, first: int) -> Iterator[Found]:
        """Yield the records of whole lines, the first of which has the number *first*; refuse a broken line alone."""
        ...
