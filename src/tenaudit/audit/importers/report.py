"""What an import did: counts of everything, and the first things it refused by name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenaudit.audit.importers.importer import Refused
    from tenaudit.audit.ports import AppendResult

__all__ = ["MAX_PROBLEMS", "ImportProblem", "ImportReport", "Tally"]

MAX_PROBLEMS = 100
"""Refusals that a report names; the rest are counted."""


@dataclass(frozen=True, slots=True)
class ImportProblem:
    """One file or record that was refused.

    Args:
        path: the file.
        record: the record's index in it, from 0; None when it is the whole file.
        reason: the stable word it is counted under.
        detail: one sentence for a person.
        line: the record's line, from 1, in a file of lines.
    """

    path: str
    record: int | None
    reason: str
    detail: str
    line: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "path": self.path,
            "record": self.record,
            "line": self.line,
            "reason": self.reason,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The account of an import: what was read is what was stored, passed over, refused or not new.

    Args:
        files: files that were tried.
        read: records that were seen.
        stored: events that were new.
        duplicates: events that were there already.
        conflicts: events whose id was there with other content; the store keeps them as evidence.
        expired: events older than what the tenant has purged.
        refused: files and records that were refused, by reason.
        problems: the first `MAX_PROBLEMS` of those.
        passed: records that are no events of their own, by reason.

    Example:
        >>> ImportReport(1, 2, 1, 1, 0, 0, {}, ()).complete
        True
    """

    files: int
    read: int
    stored: int
    duplicates: int
    conflicts: int
    expired: int
    refused: Mapping[str, int]
    problems: tuple[ImportProblem, ...]
    passed: Mapping[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything that was there is in the store now."""
        return not self.refused and not self.conflicts

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; `problems_omitted` counts the refusals beyond those named."""
        return {
            "files": self.files,
            "read": self.read,
            "stored": self.stored,
            "duplicates": self.duplicates,
            "conflicts": self.conflicts,
            "expired": self.expired,
            "refused": dict(self.refused),
            "passed": dict(self.passed),
            "problems": [problem.to_json() for problem in self.problems],
            "problems_omitted": sum(self.refused.values()) - len(self.problems),
        }


class Tally:
    """Counts while an import runs."""

    __slots__ = ("_passed", "_problems", "_refused", "conflicts", "duplicates", "expired", "files", "read", "stored")

    def __init__(self) -> None:
        self.files = self.read = self.stored = self.duplicates = self.conflicts = self.expired = 0
        self._refused: Counter[str] = Counter()
        self._passed: Counter[str] = Counter()
        self._problems: list[ImportProblem] = []

    def add(self, result: AppendResult) -> None:
        """Count what became of a batch."""
        self.stored += result.stored
        self.duplicates += result.duplicates
        self.conflicts += result.conflicts
        self.expired += result.expired

    def refuse(self, path: str, record: int | None, refusal: Refused, line: int | None = None) -> None:
        """Count a refusal, and name it while there is room."""
        self._refused[refusal.reason] += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(ImportProblem(path, record, refusal.reason, refusal.detail, line))

    def passed_over(self, reason: str) -> None:
        """Count a record that is no event of its own."""
        self._passed[reason] += 1

    def report(self) -> ImportReport:
        """Return the counts so far."""
        refused = MappingProxyType(dict(sorted(self._refused.items())))
        counts = (self.files, self.read, self.stored, self.duplicates, self.conflicts, self.expired)
        passed = MappingProxyType(dict(sorted(self._passed.items())))
        return ImportReport(*counts, refused, tuple(self._problems), passed)
