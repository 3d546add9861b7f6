"""One decision, everywhere it must show: the caller's 403, the metrics and the audit event."""

from __future__ import annotations

import logging
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit.errors import ApiError, LabelGuard
from tenaudit.errors.instruments import counter, histogram
from tenaudit.policy.decision import Decision
from tenaudit.policy.denials import DenialBudget
from tenaudit.policy.engine import STOPS, MatrixEngine, PolicyEngine, pinned
from tenaudit.policy.matrix import PolicyMatrix

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry, Counter

    from tenaudit._kernel.clock import Clock
    from tenaudit.security.context import SecurityContext

__all__ = ["BOUND_GUARD", "Disclosure", "PolicyGuard", "acting_guard", "ensure_capability"]

Disclosure = Literal["none", "capability", "roles"]
_log = logging.getLogger("tenaudit.policy")
_MISSING = "A required capability is missing."
_SAMPLE = 64
_BUCKETS = (1e-7, 2.5e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_CAPABILITIES_LABELLED = 200


class _Refusal(NamedTuple):
    """What every denial of one capability by one matrix has in common."""

    engine: PolicyEngine
    checks: Counter
    denials: Counter
    error: ApiError


class PolicyGuard:
    """Asks an engine, counts the answer and turns a denial into an error and an event.

    Args:
        engine: who decides; the default matrix when None.
        registry: where the metric families live.
        on_denial: called with context and decision, at most *denials_per_second* a tenant and capability.
        disclose: what a denied client may read: nothing, the capability, or the roles that would grant it.
        denials_per_second: bound of `on_denial` calls for one (tenant, capability); the rest is counted.
        clock: time source of that bound.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from uuid import UUID
        >>> from tenaudit.security import Actor, SecurityContext, TraceContext
        >>> trace = TraceContext("0" * 31 + "1", None, False)
        >>> ctx = SecurityContext(UUID(int=1), Actor("u"), frozenset({"Cashier"}), trace)
        >>> PolicyGuard(registry=CollectorRegistry()).check(ctx, "payment_process").granted_by
        frozenset({'Cashier'})
    """

    def __init__(
        self,
        engine: PolicyEngine | None = None,
        *,
        registry: CollectorRegistry | None = None,
        on_denial: Callable[[SecurityContext, Decision], None] | None = None,
        disclose: Disclosure = "capability",
        denials_per_second: int = 10,
        clock: Clock | None = None,
    ) -> None:
        if disclose not in ("none", "capability", "roles"):
            raise ConfigurationError(f'disclose must be "none", "capability" or "roles", not {disclose!r}')
        self.engine = engine or MatrixEngine(PolicyMatrix.default())
        self._on_denial = on_denial
        self._disclose = disclose
        self._budget = DenialBudget(denials_per_second, clock or SystemClock())
        self._labels = LabelGuard(_CAPABILITIES_LABELLED)
        self._checks = counter(
            registry, "capability_checks_total", "Policy decisions by capability.", ("capability", "outcome")
        )
        self._denials = counter(registry, "capability_denials_total", "Denied checks by capability.", ("capability",))
        self._suppressed = counter(
            registry, "capability_denial_events_suppressed_total", "Denials over the event budget: counted only."
        )
        self._seconds = histogram(
            registry, "capability_eval_seconds", "Time of one decision.", ("engine",), buckets=_BUCKETS
        )
        # A cached child costs a fifth of a labels() call; as many are kept as capabilities have labels.
        self._allowed: dict[str, Counter] = {}
        self._denied_children: dict[str, tuple[Counter, Counter]] = {}
        self._refusals: dict[str, _Refusal] = {}
        self._until_sample = 0

    def check(
        self, ctx: SecurityContext, capability: str, resource: Any = None, engine: PolicyEngine | None = None
    ) -> Decision:
        """Return the decision when it allows.

        Raises:
            ApiError: 403 `missing_role`.
        """
        if engine is None:
            engine = self.engine
        self._until_sample -= 1
        try:
            # By its type, not its name: an engine that only calls itself "matrix" is asked with more care.
            if self._until_sample >= 0 and type(engine) is MatrixEngine:
                decision = engine.decide(ctx, capability, resource)
            else:
                engine = pinned(engine)
                decision = self._timed(engine, ctx, capability, resource)
            # An answer that is merely truthy allows nothing.
            granted = decision.allowed is True
        except STOPS:
            raise
        except BaseException:  # noqa: BLE001 - an engine that errs denies, whatever it raised
            _failed("policy engine failed", "policy_engine_failed", ctx)
            decision, granted = Decision(False, str(capability), "engine_error"), False
        if not granted:
            raise self._denied(engine, ctx, _reportable(decision, capability))
        allowed = self._allowed.get(capability)
        if allowed is None:
            allowed = self._allowed_child(capability)
        allowed.inc()
        return decision

    def _allowed_child(self, capability: str) -> Counter:
        child = self._checks.labels(self._labels.label(str(capability)), "allow")
        if len(self._allowed) < _CAPABILITIES_LABELLED:
            self._allowed[capability] = child
        return child

    def _denied_child(self, capability: str) -> tuple[Counter, Counter]:
        label = self._labels.label(capability)
        children = self._checks.labels(label, "deny"), self._denials.labels(label)
        if len(self._denied_children) < _CAPABILITIES_LABELLED:
            self._denied_children[capability] = children
        return children

    def _timed(self, engine: PolicyEngine, ctx: SecurityContext, capability: str, resource: Any) -> Decision:
        """Ask an engine and measure it, the matrix engine once in 64: timing each would cost more than deciding.

        Raises:
            TypeError: the answer is no `Decision`, which allows nothing.
        """
        started = time.perf_counter()
        decision: object = engine.decide(ctx, capability, resource)
        name = engine.name
        if name != "matrix" or self._until_sample < 0:
            self._seconds.labels(name).observe(time.perf_counter() - started)
            if name == "matrix":
                self._until_sample = _SAMPLE - 1
        if not isinstance(decision, Decision):
            raise TypeError(f"a policy engine must return a Decision, not a {type(decision).__name__}")
        return decision

    def _denied(self, engine: PolicyEngine, ctx: SecurityContext, decision: Decision) -> ApiError:
        refusal = self._refusals.get(decision.capability)
        if refusal is None or refusal.engine is not engine:
            refusal = self._refusal(engine, ctx, decision)
        refusal.checks.inc()
        refusal.denials.inc()
        if self._on_denial is not None:
            if self._budget.spend((ctx.tenant_id, decision.capability)):
                self._tell(ctx, decision)
            else:
                self._suppressed.inc()
        return _copy_of(refusal.error)

    def _refusal(self, engine: PolicyEngine, ctx: SecurityContext, decision: Decision) -> _Refusal:
        """Build what a denial says and counts; remembered for a matrix, which says the same each time."""
        capability = decision.capability
        children = self._denied_children.get(capability) or self._denied_child(capability)
        refusal = _Refusal(engine, *children, self._error(engine, ctx, decision))
        if type(engine) is MatrixEngine and (
            capability in self._refusals or len(self._refusals) < _CAPABILITIES_LABELLED
        ):
            self._refusals[capability] = refusal
        return refusal

    def _tell(self, ctx: SecurityContext, decision: Decision) -> None:
        """Call the denial callback; one that fails is logged, and the denial stands."""
        assert self._on_denial is not None
        try:
            self._on_denial(ctx, decision)
        except Exception:  # noqa: BLE001 - the 403 must not become a 500
            _failed("denial callback failed", "policy_on_denial_failed", ctx)

    def _error(self, engine: PolicyEngine, ctx: SecurityContext, decision: Decision) -> ApiError:
        if self._disclose == "none":
            return ApiError(403, "missing_role", _MISSING)
        message, name = _MISSING, decision.capability
        try:
            if self._disclose == "roles" and decision.would_grant:
                message = f"Needs one of these roles: {', '.join(sorted(map(str, decision.would_grant)))}."
            name = str(engine.denial_name(decision.capability))
        except STOPS:
            raise
        except BaseException:  # noqa: BLE001 - see check: an engine that errs still denies
            _failed("policy engine failed to name a denial", "policy_engine_failed", ctx)
        return ApiError(403, "missing_role", message, missing_role=name)


def _reportable(decision: Decision, capability: str) -> Decision:
    """Return *decision* when it is a plain denial; another that allows nothing is an error of the engine."""
    if decision.allowed is False and isinstance(decision.capability, str):
        return decision
    return Decision(False, str(capability), "engine_error")


def _copy_of(error: ApiError) -> ApiError:
    """Copy *error* as `copy.copy` does, at a quarter of the price; each raise needs an error with its own traceback."""
    copied = ApiError.__new__(ApiError, *error.args)
    copied.__dict__ = error.__dict__.copy()
    return copied


def _failed(message: str, action: str, ctx: SecurityContext) -> None:
    _log.exception(message, extra={"action": action, "trace_id": ctx.trace.trace_id})


_default_guard: PolicyGuard | None = None
# The guard that `ensure_capability` asks in this task; the gate sets and resets it on every request.
BOUND_GUARD: ContextVar[PolicyGuard] = ContextVar("tenaudit_policy_guard")


def ensure_capability(
    ctx: SecurityContext, capability: str, *, resource: Any = None, engine: PolicyEngine | None = None
) -> Decision:
    """Return the decision when *ctx* holds *capability*.

    Args:
        ctx: who asks.
        capability: what is needed.
        resource: what it is needed on, for engines that look at resources.
        engine: who decides; the gate's engine inside a request, else the default matrix.

    Raises:
        ApiError: 403 `missing_role`.
    """
    return (BOUND_GUARD.get(None) or _default()).check(ctx, capability, resource, engine)


def acting_guard() -> PolicyGuard:
    """Return the guard that `ensure_capability` asks here: the gate's inside a request, else the default one."""
    return BOUND_GUARD.get(None) or _default()


def _default() -> PolicyGuard:
    global _default_guard  # noqa: PLW0603 - made on first use, since importing must register no metric
    if _default_guard is None:
        _default_guard = PolicyGuard()
    return _default_guard
