"""One difference between two exports of schemas, and whom it breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tenaudit.audit.schema.rules import RULES

if TYPE_CHECKING:
    from tenaudit.audit.schema.rules import Verdict

__all__ = ["Change"]


@dataclass(frozen=True, slots=True)
class Change:
    """A difference that a rule judges.

    Args:
        action, version: of which event type; version None when it is about the whole action.
        side: `read` for what events carry, `write` for what a call of emit may give.
        path: the field, such as `payload.items[*].amount`; empty when it is about no field.
        kind: the name of the rule.
        detail: what it was and is, in a few words of the schemas.

    Example:
        >>> Change("payment.voided", 1, "read", "payload.amount", "type_changed", "integer -> string").verdict
        'breaking'
    """

    action: str
    version: int | None
    side: Literal["read", "write"]
    path: str
    kind: str
    detail: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether it breaks somebody: `breaking`, `warning` or `compatible`."""
        rule = RULES[self.kind]
        return rule.read if self.side == "read" else rule.write

    @property
    def why(self) -> str:
        """Who notices, in a sentence."""
        return RULES[self.kind].why

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "verdict": self.verdict,
            "action": self.action,
            "version": self.version,
            "side": self.side,
            "path": self.path,
            "kind": self.kind,
            "detail": self.detail,
            "why": self.why,
        }
