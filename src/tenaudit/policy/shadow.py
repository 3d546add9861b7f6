"""A second engine beside the live one: it is asked the same questions, and only its differences show."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.clock import SystemClock
from tenaudit.errors import LabelGuard
from tenaudit.errors.instruments import counter
from tenaudit.policy.decision import Decision
from tenaudit.policy.denials import DenialBudget
from tenaudit.policy.engine import STOPS, ChangingEngine, PolicyEngine, pinned

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from tenaudit._kernel.clock import Clock
    from tenaudit.security.context import SecurityContext

__all__ = ["ShadowEngine"]

_log = logging.getLogger("tenaudit.policy")
_CAPABILITIES_LABELLED = 200


class ShadowEngine(ChangingEngine):
    """Answers as *live*; *shadow* is asked too, and counted where it agrees, differs or errs.

    Only whether a capability is allowed is compared, not the reasons. The shadow runs in the caller's time, after the
    live answer: what it raises or returns changes nothing, and one that was slow is left alone for a while. When the
    live engine raises, there is no answer to compare.

    Its `name` is that of the live engine with `+shadow`, so that the time of two decisions is not taken for one.

    Args:
        live: whose answer counts.
        shadow: who is tried.
        registry: where `policy_shadow_decisions_total` lives.
        clock: time source of the log's bound and of the rest.
        logs_per_second: log lines for one capability in one second; every difference is counted.
        slow_after: seconds; a comparison that took longer is followed by a rest.
        rest: seconds for which a slow shadow is not asked. Meanwhile nothing is counted.

    Example:
        >>> from uuid import UUID
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.policy import MatrixEngine, PolicyMatrix
        >>> from tenaudit.security import Actor, SecurityContext, TraceContext
        >>> trace = TraceContext("0" * 31 + "1", None, False)
        >>> ctx = SecurityContext(UUID(int=1), Actor("u"), frozenset({"Support"}), trace)
        >>> stricter = MatrixEngine(PolicyMatrix.from_mapping({"Admin": {"audit_view"}}))
        >>> engine = ShadowEngine(MatrixEngine(PolicyMatrix.default()), stricter, registry=CollectorRegistry())
        >>> engine.name, engine.decide(ctx, "audit_view").allowed
        ('matrix+shadow', True)
    """

    def __init__(
        self,
        live: PolicyEngine,
        shadow: PolicyEngine,
        *,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
        logs_per_second: int = 1,
        slow_after: float = 0.05,
        rest: float = 5.0,
    ) -> None:
        self.name = f"{live.name}+shadow"
        self.live = live
        self._trial = _Trial(shadow, registry, clock or SystemClock(), logs_per_second, slow_after, rest)

    def decide(self, ctx: SecurityContext, capability: str, resource: Any = None) -> Decision:
        """Return the live engine's answer, whatever the shadow does."""
        decision = self.live.decide(ctx, capability, resource)
        self._trial.compare(ctx, str(capability), resource, decision)
        return decision

    def denial_name(self, capability: str) -> str:
        """Return the live engine's name of *capability*."""
        return self.live.denial_name(capability)

    def pinned(self) -> PolicyEngine:
        """Return this pair with the live engine's rules of this moment."""
        live = pinned(self.live)
        if live is self.live:
            return self
        still = object.__new__(ShadowEngine)
        still.name, still.live, still._trial = self.name, live, self._trial
        return still


class _Trial:
    """Asks the shadow and counts; nothing leaves it but numbers and log lines."""

    def __init__(
        self,
        shadow: PolicyEngine,
        registry: CollectorRegistry | None,
        clock: Clock,
        logs_per_second: int,
        slow_after: float,
        rest: float,
    ) -> None:
        self._shadow = shadow
        self._clock = clock
        self._logs = DenialBudget(logs_per_second, clock)
        self._slow_after = slow_after
        self._rest = rest
        self._rests_until = float("-inf")
        self._labels = LabelGuard(_CAPABILITIES_LABELLED)
        self._decisions = counter(
            registry,
            "policy_shadow_decisions_total",
            "Decisions of the shadow engine beside the live one.",
            ("capability", "outcome"),
        )

    def compare(self, ctx: SecurityContext, capability: str, resource: Any, live: object) -> None:
        """Ask the shadow what the live engine has just answered."""
        started = self._clock.monotonic()
        if started < self._rests_until:
            return
        outcome = self._outcome(ctx, capability, resource, live)
        self._decisions.labels(self._labels.label(capability), outcome).inc()
        ended = self._clock.monotonic()
        if ended - started > self._slow_after:
            self._rests_until = ended + self._rest

    def _outcome(self, ctx: SecurityContext, capability: str, resource: Any, live: object) -> str:
        try:
            answer: object = self._shadow.decide(ctx, capability, resource)
            tried = answer.allowed if isinstance(answer, Decision) else None
        except STOPS:
            raise
        except BaseException as error:  # noqa: BLE001 - a shadow never changes the answer, whatever it raises
            return self._failed(ctx, capability, type(error).__name__)
        if not isinstance(tried, bool):
            return self._failed(ctx, capability, "no_decision")
        # As the guard judges it: what is not a plain True allows nothing.
        allowed = isinstance(live, Decision) and live.allowed is True
        if tried is allowed:
            return "agree"
        self._say("the shadow engine differs", "policy_shadow_differs", ctx, capability, live=allowed)
        return "differ"

    def _failed(self, ctx: SecurityContext, capability: str, failure: str) -> str:
        self._say("the shadow engine failed", "policy_shadow_failed", ctx, capability, failure=failure)
        return "error"

    def _say(self, message: str, action: str, ctx: SecurityContext, capability: str, **facts: object) -> None:
        if self._logs.spend((action, capability)):
            about = {"capability": capability, "roles": sorted(ctx.roles), "trace_id": ctx.trace.trace_id}
            _log.warning(message, extra={"action": action, **about, **facts})
