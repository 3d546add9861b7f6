"""Why Cedar answered as it did, with the text of the policies that led there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenaudit.backends.cedar.statement import CedarPolicy
    from tenaudit.policy.decision import Decision

__all__ = ["CedarExplanation"]


@dataclass(frozen=True, slots=True)
class CedarExplanation:
    """One decision and what led to it. For those who write policies: errors may quote a resource's attributes.

    Args:
        decision: the answer, as `CedarEngine.decide` gives it.
        policies: those that led to it; for `engine_error`, those that erred. Empty on a default deny.
        errors: why Cedar could not decide.

    Example:
        >>> from tenaudit.policy import Decision
        >>> CedarExplanation(Decision(False, "refund", "no_role_grants"), (), ()).to_json()["reason"]
        'no_role_grants'
    """

    decision: Decision
    policies: tuple[CedarPolicy, ...]
    errors: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as JSON values."""
        return {
            "allowed": self.decision.allowed,
            "capability": self.decision.capability,
            "reason": self.decision.reason,
            "granted_by": sorted(self.decision.granted_by),
            "would_grant": sorted(self.decision.would_grant),
            "policies": [
                {"name": policy.name, "source": policy.source, "line": policy.line, "text": policy.text}
                for policy in self.policies
            ],
            "errors": list(self.errors),
        }
