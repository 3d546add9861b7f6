"""One decision, everywhere it must show: the caller's 403, the metrics and the audit event."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit.errors import ApiError, LabelGuard
from tenaudit.errors.instruments import counter, histogram, tallies
from tenaudit.policy.decision import Decision
from tenaudit.policy.denials import DenialBudget
from tenaudit.policy.engine import STOPS, MatrixEngine, PolicyEngine, pinned, plain
from tenaudit.policy.matrix import PolicyMatrix

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from tenaudit._kernel.clock import Clock
    from tenaudit.security.context import SecurityContext

__all__ = ["BOUND_GUARD", "Disclosure", "PolicyGuard", "acting_guard", "ensure_capability"]

Disclosure = Literal["none", "capability", "roles"]
Hit = Callable[[], object]
_log = logging.getLogger("tenaudit.policy")
_new_error = ApiError.__new__
_MISSING = "A required capability is missing."
_SAMPLE = 64
_BUCKETS = (1e-7, 2.5e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_CAPABILITIES_LABELLED = 200
_ANSWERS_KEPT = 4096


class _Answer(NamedTuple):
    """What a matrix says to one set of roles and one capability, each time, and how that is counted."""

    engine: PolicyEngine
    decision: Decision
    checked: Hit
    denial: _Denial | None


class _Denial(NamedTuple):
    """How a denial is counted, and what its error is made of: each raise needs one with its own traceback."""

    counted: Hit
    arguments: tuple[object, ...]
    fields: dict[str, Any]


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
        self._checks = tallies(
            registry, "capability_checks_total", "Policy decisions by capability.", ("capability", "outcome")
        )
        self._denials = tallies(registry, "capability_denials_total", "Denied checks by capability.", ("capability",))
        self._suppressed = counter(
            registry, "capability_denial_events_suppressed_total", "Denials over the event budget: counted only."
        )
        self._seconds = histogram(
            registry, "capability_eval_seconds", "Time of one decision.", ("engine",), buckets=_BUCKETS
        )
        # A matrix is finite, so its answers are; a check whose answer is known is one look-up and one count.
        self._answers: dict[tuple[frozenset[str], str], _Answer] = {}
        self._until_sample = 0

    def check(
        self, ctx: SecurityContext, capability: str, resource: Any = None, engine: PolicyEngine | None = None
    ) -> Decision:
        """Return the decision when it allows.

        Raises:
            ApiError: 403 `missing_role`.
        """
        if engine is None and self._until_sample > 0:
            try:
                answer = self._answers.get((ctx.roles, capability))
            except Exception:  # noqa: BLE001 - one of them has no hash; the engine is asked, and its failure denies
                answer = None
            if answer is not None:
                asked, decision, checked, denial = answer
                if asked is self.engine:
                    self._until_sample -= 1
                    checked()
                    if denial is None:
                        return decision
                    raise self._denied(ctx, decision, denial)
        return self._ask(engine or self.engine, ctx, capability, resource)

    def _ask(self, engine: PolicyEngine, ctx: SecurityContext, capability: str, resource: Any) -> Decision:
        try:
            engine = pinned(engine)
            decision = self._timed(engine, ctx, capability, resource)
            # An answer that is merely truthy allows nothing.
            granted = decision.allowed is True
        except STOPS:
            raise
        except BaseException:  # noqa: BLE001 - an engine that errs denies, whatever it raised
            _failed("policy engine failed", "policy_engine_failed", ctx)
            decision, granted = Decision(False, plain(capability), "engine_error"), False
        if granted:
            label, denial = self._labels.label(plain(capability)), None
        else:
            decision = _reportable(decision, capability)
            label = self._labels.label(decision.capability)
            error = self._error(engine, ctx, decision)
            denial = _Denial(self._denials.of(label), error.args, error.__dict__)
        checked = self._checks.of(label, "deny" if denial else "allow")
        if type(engine) is MatrixEngine and engine.is_settled(decision):
            # By its type, not its name: an engine that only calls itself "matrix" is asked each time.
            if len(self._answers) >= _ANSWERS_KEPT:
                self._answers.clear()
            self._answers[ctx.roles, capability] = _Answer(engine, decision, checked, denial)
        checked()
        if denial is None:
            return decision
        raise self._denied(ctx, decision, denial)

    def _timed(self, engine: PolicyEngine, ctx: SecurityContext, capability: str, resource: Any) -> Decision:
        """Ask an engine and measure it, the matrix engine once in 64: timing each would cost more than deciding.

        Raises:
            TypeError: the answer is no `Decision`, which allows nothing.
        """
        started = time.perf_counter()
        decision: object = engine.decide(ctx, capability, resource)
        name = engine.name
        if name != "matrix" or self._until_sample <= 0:
            self._seconds.labels(name).observe(time.perf_counter() - started)
        if name == "matrix":
            self._until_sample = (self._until_sample if self._until_sample > 0 else _SAMPLE) - 1
        if not isinstance(decision, Decision):
            raise TypeError(f"a policy engine must return a Decision, not a {type(decision).__name__}")
        return decision

    def _denied(self, ctx: SecurityContext, decision: Decision, denial: _Denial) -> ApiError:
        denial.counted()
        if self._on_denial is not None:
            if self._budget.spend((ctx.tenant_id, decision.capability)):
                self._tell(ctx, decision)
            else:
                self._suppressed.inc()
        # As `copy.copy` does it, at a quarter of the price.
        error = _new_error(ApiError, *denial.arguments)
        error.__dict__ = denial.fields.copy()
        return error

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
    return Decision(False, plain(capability), "engine_error")


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
