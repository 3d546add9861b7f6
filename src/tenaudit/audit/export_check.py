"""Is an export what was logged? With nothing but its lines and the signed checkpoint that its end carries.

Rules of this file: pure; lines come one at a time and none is kept: what was seen takes a bit an entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tenaudit.audit.export import PROOF, TRAILER
from tenaudit.audit.exported_entries import ExportedEntries
from tenaudit.audit.integrity.canonical import CanonicalError
from tenaudit.audit.integrity.exported_leaf import exported_leaf
from tenaudit.audit.integrity.log_of_logs import tenant_of
from tenaudit.audit.integrity.proof import verify_inclusion
from tenaudit.audit.ports import Problem
from tenaudit.audit.proven_export import LineProof

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.audit.integrity.checkpoint import Checkpoint
    from tenaudit.audit.proven_export import ExportClaim

__all__ = ["MAX_PROBLEMS", "ExportCheck", "ExportReport", "Leniency"]

MAX_PROBLEMS = 1000
"""The most problems that a report lists; it counts them all."""

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Leniency:
    """What a check demands.

    Args:
        whole: whether every entry up to the signed checkpoint must be there, unless it was purged, whatever the export
            says of itself.
        unproven: whether events that are not covered yet, and the content of redacted ones, may go unproven.

    Example:
        >>> Leniency().unproven
        False
    """

    whole: bool = False
    unproven: bool = False


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The result of checking an export: verified only when nothing at all was found.

    Example:
        >>> ExportReport(0, None, ()).verified
        True

    Attributes:
        events: how many lines of events there are.
        tenant_id: whose log it is of; None when nothing signed says so.
        problems: what was found, the first thousand.
        found: how many problems there are.
        proven: events whose content and place are proven.
        hidden: values of these that are hidden or erased, of which only that they were there is proven.
        redacted: events whose place is proven and whose content, with fields hidden, is not.
        uncovered: events that came after the signed checkpoint, of which nothing is proven.
        size: entries that the log had when it was signed.
        purged: those of them that are not there because they were purged, which the log itself says.
        whole: whether all the others are there.
    """

    events: int
    tenant_id: UUID | None
    problems: tuple[Problem, ...]
    found: int = 0
    proven: int = 0
    redacted: int = 0
    uncovered: int = 0
    size: int = 0
    purged: int = 0
    whole: bool = False
    hidden: int = 0

    @property
    def verified(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return `{"verified", "events", "tenants", "problems"}` and what else is counted."""
        return {
            "verified": self.verified,
            "events": self.events,
            "tenants": 0 if self.tenant_id is None else 1,
            "problems": [problem.to_json() for problem in self.problems],
            "problem_count": self.found,
            "proven": self.proven,
            "hidden": self.hidden,
            "redacted": self.redacted,
            "uncovered": self.uncovered,
            "size": self.size,
            "purged": self.purged,
            "whole": self.whole,
        }


@dataclass(slots=True)
class ExportCheck:
    """Checks the lines of one export, in their order.

    Args:
        tip: the checkpoint that was signed.
        claim: what the export says of itself.
        leniency: what is demanded.

    Example:
        >>> from tenaudit.audit.integrity import Checkpoint
        >>> from tenaudit.audit.integrity.signed_tip import SignedTip
        >>> from tenaudit.audit.proven_export import ExportClaim
        >>> from tenaudit.testing.conformance.events import TENANT, an_event
        >>> record = an_event(0).record()
        >>> tip = Checkpoint(f"tenaudit/tenant/{TENANT}", 1, exported_leaf(record))
        >>> check = ExportCheck(tip, ExportClaim(1, True, "asc", SignedTip("", 0, (), "")))
        >>> from tenaudit.audit.proofs import base64_text
        >>> proof = {"index": 0, "leaf_hash": base64_text(tip.root), "path": []}
        >>> check.line(1, {**record, "tenaudit_proof": proof})
        >>> check.report().verified, check.report().proven
        (True, 1)
    """

    tip: Checkpoint
    claim: ExportClaim
    leniency: Leniency = field(default_factory=Leniency)
    _tenant: UUID | None = field(init=False)
    _seen: ExportedEntries = field(init=False)
    _problems: list[Problem] = field(init=False, default_factory=list)
    _found: int = field(init=False, default=0)
    _events: int = field(init=False, default=0)
    _proven: int = field(init=False, default=0)
    _hidden: int = field(init=False, default=0)
    _redacted: int = field(init=False, default=0)
    _uncovered: int = field(init=False, default=0)
    _before: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._tenant = tenant_of(self.tip.origin)
        self._seen = ExportedEntries()

    def line(self, number: int, found: dict[str, Any]) -> None:
        """Check a line, by its number from 1."""
        self._events += 1
        proof = found.pop(PROOF, _MISSING)
        event_id = _name(found)
        if found.keys() == {TRAILER}:
            self._tell(None, "inserted", f"line {number} is the end of another export")
            return
        if found.get("tenant_id") != str(self._tenant):
            self._tell(event_id, "inserted", f"line {number} is of another tenant")
        elif proof is None:
            self._uncovered += 1
            self._check_order(number, event_id)
            if not self.leniency.unproven:
                detail = f"line {number} came after the signed checkpoint at {self.tip.size}: nothing proves it yet"
                self._tell(event_id, "uncovered", detail)
        elif proof is _MISSING:
            self._tell(event_id, "inserted", f"line {number} has no proof")
        else:
            self._check_proof(number, event_id, found, proof)

    def _check_order(self, number: int, event_id: str | None) -> None:
        before, self._before = self._before, event_id
        if before is None or event_id is None or before == event_id:
            return
        if (before > event_id) == (self.claim.order == "asc"):
            self._tell(event_id, "reordered", f"line {number} does not stand where the export's order puts it")

    def _check_proof(self, number: int, event_id: str | None, record: dict[str, Any], told: Any) -> None:
        try:
            proof = LineProof.from_json(told)
        except ValueError as error:
            self._tell(event_id, "inserted", f"line {number} has no proof of the right form: {error}")
            return
        if not verify_inclusion(proof.leaf, proof.index, self.tip.size, proof.path, self.tip.root):
            detail = f"line {number} has no place in the log: its proof does not lead to the signed checkpoint"
            self._tell(event_id, "inserted", detail)
        elif not self._seen.add(proof.index):
            self._tell(event_id, "inserted", f"line {number} repeats the event at index {proof.index}")
        else:
            self._check_order(number, event_id)
            self._check_content(number, event_id, record, proof)

    def _check_content(self, number: int, event_id: str | None, record: dict[str, Any], proof: LineProof) -> None:
        if proof.redacted:
            self._redacted += 1
            if not self.leniency.unproven:
                detail = f"line {number} has hidden fields: the place of the event is proven, and its content is not"
                self._tell(event_id, "redacted", detail)
        elif _leaf_of(record, proof) != proof.leaf:
            self._tell(event_id, "changed", f"line {number}: the event at index {proof.index} was altered")
        else:
            self._proven += 1
            self._hidden += proof.hidden
            self._seen.explain(record, proof.index)

    def report(self) -> ExportReport:
        """Return what was found, after the last line."""
        if self._events != self.claim.events:
            detail = f"the export says that it has {self.claim.events} events, and it has {self._events}"
            self._tell(None, "missing" if self._events < self.claim.events else "inserted", detail)
        missing = 0
        for first, last in self._seen.gaps(self.tip.size):
            missing += last - first + 1
            if self.claim.whole or self.leniency.whole:
                self._tell(None, "missing", f"the export has no entries from {first} to {last}")
        return ExportReport(
            self._events,
            self._tenant,
            tuple(self._problems),
            self._found,
            self._proven,
            self._redacted,
            self._uncovered,
            self.tip.size,
            self.tip.size - self._seen.count - missing,
            missing == 0,
            self._hidden,
        )

    def _tell(self, event_id: str | None, kind: str, detail: str) -> None:
        self._found += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(str(self._tenant), event_id, kind, detail))


def _name(record: dict[str, Any]) -> str | None:
    event_id = record.get("event_id")
    return event_id if isinstance(event_id, str) and len(event_id) <= 64 else None


def _leaf_of(record: dict[str, Any], proof: LineProof) -> bytes | None:
    try:
        return exported_leaf(record, proof.openings)
    except CanonicalError:
        return None
