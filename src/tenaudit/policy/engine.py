"""The engine port, and the default engine: a matrix compiled to bit masks.

Rules of this file: plain values in, a frozen decision out; no I/O, no metrics.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from asyncio import CancelledError
from typing import TYPE_CHECKING, Any, Protocol

from tenaudit.policy.decision import Decision

if TYPE_CHECKING:
    from tenaudit.policy.matrix import PolicyMatrix
    from tenaudit.security.context import SecurityContext

__all__ = ["STOPS", "ChangingEngine", "MatrixEngine", "PolicyEngine", "pinned", "plain"]

_MAX_REMEMBERED = 4096
# Reasons that the roles and the capability alone make; names that no matrix knows are unbounded.
_SETTLED = frozenset({"granted", "no_role_grants"})
# What ends a task or the process. Whatever else an engine raises is its failure, also what is no `Exception`: a panic
# of an engine in Rust comes as a plain BaseException.
STOPS = (KeyboardInterrupt, SystemExit, GeneratorExit, CancelledError)


class PolicyEngine(Protocol):
    """Decides; an engine that raises is treated as a denial."""

    @property
    def name(self) -> str:
        """Short name, the `engine` label of metrics."""
        ...

    def decide(self, ctx: SecurityContext, capability: str, resource: Any = None) -> Decision:
        """Return whether *ctx* holds *capability* on *resource*."""
        ...

    def denial_name(self, capability: str) -> str:
        """Return the name of *capability* that a denied client may see."""
        ...


class ChangingEngine(ABC):
    """An engine whose rules change while it runs: who needs several answers from the same rules pins it first.

    `PolicyGuard` does so for each check, so that a decision and its denial name never come from two versions.
    """

    @abstractmethod
    def pinned(self) -> PolicyEngine:
        """Return an engine that keeps the rules of this moment."""


def plain(capability: object) -> str:
    """Return *capability* as a plain string: the value of an enumeration of strings, whatever its `str` says."""
    return str.__str__(capability) if isinstance(capability, str) else str(capability)


def pinned(engine: PolicyEngine) -> PolicyEngine:
    """Return *engine* with the rules of this moment: itself, unless its rules can change."""
    return engine.pinned() if isinstance(engine, ChangingEngine) else engine


class MatrixEngine:
    """Decides from a `PolicyMatrix`: one AND of two masks, the answers remembered.

    A matrix is finite, so the decisions for one set of roles are too: each is built once and then handed out
    again, which makes a check two dictionary look-ups.

    Args:
        matrix: who grants what.
        require_actor: refuse anonymous actors, whatever their roles say.

    Example:
        >>> from uuid import UUID
        >>> from tenaudit.policy import PolicyMatrix
        >>> from tenaudit.security import Actor, SecurityContext, TraceContext
        >>> trace = TraceContext("0" * 31 + "1", None, False)
        >>> ctx = SecurityContext(UUID(int=1), Actor("u"), frozenset({"Support"}), trace)
        >>> engine = MatrixEngine(PolicyMatrix.default())
        >>> decision = engine.decide(ctx, "payment_process")
        >>> decision.allowed, sorted(decision.would_grant)
        (False, ['Admin', 'Cashier', 'Manager', 'SuperAdmin'])
    """

    name = "matrix"

    def __init__(self, matrix: PolicyMatrix, *, require_actor: bool = False) -> None:
        self.matrix = matrix
        self._require_actor = require_actor
        self._bits = {role: 1 << place for place, role in enumerate(matrix.roles)}
        self._masks = {
            capability: sum(self._bits[role] for role in matrix.roles_for(capability))
            for capability in matrix.capabilities
        }
        self._remembered: dict[tuple[frozenset[str], str], Decision] = {}

    def decide(self, ctx: SecurityContext, capability: str, resource: Any = None) -> Decision:  # noqa: ARG002 - a matrix knows no resources
        """Return whether a role of *ctx* grants *capability*; the resource plays no part in a matrix."""
        if self._require_actor and ctx.actor.id is None:
            return Decision(False, plain(capability), "anonymous_actor", frozenset(), self.matrix.roles_for(capability))
        key = (ctx.roles, capability)
        decision = self._remembered.get(key)
        return decision if decision is not None else self._decide(key)

    def _decide(self, key: tuple[frozenset[str], str]) -> Decision:
        roles, capability = key
        mask = self._masks.get(capability)
        if mask is None:
            # Not remembered: names that no matrix knows are unbounded.
            return Decision(False, plain(capability), "unknown_capability")
        held = sum(self._bits.get(role, 0) for role in roles) & mask
        decision = Decision(
            held != 0,
            plain(capability),
            "granted" if held else "no_role_grants",
            frozenset(role for role, bit in self._bits.items() if bit & held),
            self.matrix.roles_for(capability),
        )
        if len(self._remembered) < _MAX_REMEMBERED:
            self._remembered[key] = decision
        return decision

    def is_settled(self, decision: Decision) -> bool:
        """Tell whether whoever holds the same roles gets the same *decision*, each time."""
        return not self._require_actor and decision.reason in _SETTLED

    def denial_name(self, capability: str) -> str:
        """Return the name of *capability* that a denied client may see."""
        return self.matrix.denial_name(capability)
