"""What is known of an old role check: its counts, and where it differs from its capability.

Rules of this file: plain frozen values.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CompatDifference", "RoleCompatReport"]


@dataclass(frozen=True, slots=True)
class CompatDifference:
    """A role that, held alone, gets two different answers.

    Args:
        role: the role.
        by_roles: whether the old list allows it.
        by_capability: whether the capability does.
        known: whether the matrix knows the role; one that it does not know may never reach a context.
    """

    role: str
    by_roles: bool
    by_capability: bool
    known: bool

    def __str__(self) -> str:
        old, new = ("allows", "denies") if self.by_roles else ("denies", "allows")
        known = "" if self.known else " (no role of the policy)"
        return f"{self.role}{known}: the old list {old}, the capability {new}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCompatReport:
    """What one `RoleCompat` has seen in this process, and what enumeration says of it.

    Args:
        name: its site.
        capability: what shall replace the list.
        decides: which side's answer counts, `roles` or `capability`.
        agree_allow: checks that both sides allowed.
        agree_deny: checks that both denied.
        only_roles: checks that the old list alone allowed.
        only_capability: checks that the capability alone allowed.
        errors: checks in which the engine erred; they are among the others too, as denials of the capability.
        differences: each role with two answers; empty when the list and the capability are the same.
        unknown_roles: names in the old list that are no role of the policy.

    Example:
        >>> report = RoleCompatReport(
        ...     name="refunds", capability="payment_process", decides="roles", agree_allow=900, agree_deny=100,
        ...     only_roles=0, only_capability=0, errors=0, differences=(), unknown_roles=(),
        ... )
        >>> report.checks, report.differed, report.safe_to_remove(1000)
        (1000, 0, True)
    """

    name: str
    capability: str
    decides: str
    agree_allow: int
    agree_deny: int
    only_roles: int
    only_capability: int
    errors: int
    differences: tuple[CompatDifference, ...]
    unknown_roles: tuple[str, ...]

    @property
    def checks(self) -> int:
        """How many checks both sides answered."""
        return self.agree_allow + self.agree_deny + self.differed

    @property
    def differed(self) -> int:
        """In how many of them the sides differed."""
        return self.only_roles + self.only_capability

    @property
    def statically_equal(self) -> bool:
        """Whether every role, held alone, gets the same answer from both sides."""
        return not self.differences

    def safe_to_remove(self, checks: int) -> bool:
        """Tell whether the sides are equal by enumeration and never differed or erred in at least so many checks."""
        return self.statically_equal and self.checks >= checks and not self.differed and not self.errors
