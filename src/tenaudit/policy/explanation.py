"""Why a set of roles is allowed a capability or not, from the matrix alone.

Rules of this file: pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenaudit.policy.matrix import PolicyMatrix

__all__ = ["Explanation", "explain_roles"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One answer of a matrix with everything that led to it.

    Args:
        allowed: the answer.
        capability: what was asked for.
        reason: as in `Decision`: `granted`, `no_role_grants` or `unknown_capability`.
        granted_by: the given roles that grant it, in the matrix's order.
        would_grant: every role that grants it, in the matrix's order.
        unknown_roles: given roles that the matrix does not know; they grant nothing.
        missing_role: what a denied client may read, None when allowed.
    """

    allowed: bool
    capability: str
    reason: str
    granted_by: tuple[str, ...]
    would_grant: tuple[str, ...]
    unknown_roles: tuple[str, ...]
    missing_role: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as JSON values."""
        return {
            "allowed": self.allowed,
            "capability": self.capability,
            "reason": self.reason,
            "granted_by": list(self.granted_by),
            "would_grant": list(self.would_grant),
            "unknown_roles": list(self.unknown_roles),
            "missing_role": self.missing_role,
        }


def explain_roles(matrix: PolicyMatrix, roles: Iterable[str], capability: str) -> Explanation:
    """Explain what *matrix* answers to *roles*, which are matched without regard to case, as in `X-Roles`.

    >>> from tenaudit.policy import PolicyMatrix
    >>> explain_roles(PolicyMatrix.default(), ["support", "Owner"], "gdpr_manage").to_json()["would_grant"]
    ['SuperAdmin', 'Admin']
    """
    spelt = {role.lower(): role for role in matrix.roles}
    given = dict.fromkeys(roles)
    held = {spelt[role.lower()] for role in given if role.lower() in spelt}
    would_grant = tuple(role for role in matrix.roles if matrix.allows((role,), capability))
    granted_by = tuple(role for role in would_grant if role in held)
    denied = "no_role_grants" if would_grant else "unknown_capability"
    return Explanation(
        bool(granted_by),
        capability,
        "granted" if granted_by else denied,
        granted_by,
        would_grant,
        tuple(role for role in given if role.lower() not in spelt),
        None if granted_by else matrix.denial_name(capability),
    )
