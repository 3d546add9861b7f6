"""What an engine answers, with its reasons."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Decision"]


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer: allowed or not, and why.

    Args:
        allowed: the answer.
        capability: what was asked for.
        reason: one stable phrase: `granted`, `no_role_grants`, `unknown_capability`, `anonymous_actor`, `engine_error`;
            from engines that look at resources also `forbidden_by_policy`, `foreign_tenant`.
        granted_by: the caller's roles that grant it; empty on a denial.
        would_grant: every role that would have granted it, so that a default deny explains itself.
        policies: names of the policies that led to it, for an engine that has policies.

    Example:
        >>> Decision(False, "gdpr_manage", "no_role_grants", frozenset(), frozenset({"Admin"})).would_grant
        frozenset({'Admin'})
    """

    allowed: bool
    capability: str
    reason: str
    granted_by: frozenset[str] = frozenset()
    would_grant: frozenset[str] = frozenset()
    policies: tuple[str, ...] = ()
