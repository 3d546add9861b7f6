"""An old list of roles in front of a capability: both are asked, one decides, and every difference is counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID
from weakref import WeakKeyDictionary, WeakSet

from prometheus_client import REGISTRY, CollectorRegistry

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit.errors import LabelGuard
from tenaudit.errors.instruments import counter
from tenaudit.policy.compat_report import CompatDifference, RoleCompatReport
from tenaudit.policy.decision import Decision
from tenaudit.policy.denials import DenialBudget
from tenaudit.policy.engine import STOPS, MatrixEngine, PolicyEngine, pinned
from tenaudit.policy.guard import acting_guard
from tenaudit.policy.shadow import ShadowEngine
from tenaudit.policy.vocabulary import Role
from tenaudit.security.context import Actor, SecurityContext, TraceContext

if TYPE_CHECKING:
    from tenaudit._kernel.clock import Clock
    from tenaudit.policy.matrix import PolicyMatrix

__all__ = ["RoleCompat", "role_compat_report"]

_log = logging.getLogger("tenaudit.policy")
_SITES_LABELLED = 200
_TRACE = TraceContext("0" * 31 + "1", None, sampled=False)
_OUTCOMES = {
    (True, True): "agree_allow",
    (False, False): "agree_deny",
    (True, False): "only_roles",
    (False, True): "only_capability",
}
_registered: WeakSet[RoleCompat] = WeakSet()
_site_labels: WeakKeyDictionary[CollectorRegistry, LabelGuard] = WeakKeyDictionary()
_registering = threading.Lock()


class RoleCompat:
    """A role check on its way to a capability: asks both, lets one decide and counts where they differ.

    Make one for each old check, when its module is loaded: `role_compat_report` lists all that are alive.

    Args:
        roles: the old list; the old check allowed whoever has one of these, spelt exactly so.
        capability: what shall replace it.
        name: which check this is, the `site` label; the capability by default.
        matrix: who grants the capability.
        engine: or who decides it; neither: the gate's engine inside a request, else the default matrix.
        registry: where `role_compat_checks_total` lives.
        decide: whose answer counts, the old `"roles"` or the new `"capability"`.
        clock: time source of the log's bound, which is one line a second.

    Raises:
        ConfigurationError: *roles* is one string, both *matrix* and *engine* are given, the matrix does not have the
            capability, or *decide* is another word.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.policy import PolicyMatrix
        >>> old = RoleCompat(
        ...     ["Admin", "Support"], "gdpr_manage", matrix=PolicyMatrix.default(), registry=CollectorRegistry()
        ... )
        >>> for difference in old.differences():
        ...     print(difference)
        SuperAdmin: the old list denies, the capability allows
        Support: the old list allows, the capability denies
    """

    def __init__(
        self,
        roles: Iterable[str],
        capability: str,
        *,
        name: str | None = None,
        matrix: PolicyMatrix | None = None,
        engine: PolicyEngine | None = None,
        registry: CollectorRegistry | None = None,
        decide: Literal["roles", "capability"] = "roles",
        clock: Clock | None = None,
    ) -> None:
        if isinstance(roles, str):
            raise ConfigurationError(f"roles must be a list of role names, not the one string {roles!r}")
        if not isinstance(roles, Iterable):
            raise ConfigurationError(f"roles must be a list of role names, not {roles!r}")
        if decide not in ("roles", "capability"):
            raise ConfigurationError(f'decide must be "roles" or "capability", not {decide!r}')
        if matrix is not None and engine is not None:
            raise ConfigurationError("RoleCompat takes a matrix or an engine, not both")
        self.roles = frozenset(map(str, roles))
        self.capability = str(capability)
        if matrix is not None and self.capability not in matrix.capabilities:
            raise ConfigurationError(f"the matrix has no capability {self.capability!r}")
        self.name = str(name or self.capability)
        self.decides = decide
        self._engine = engine if matrix is None else MatrixEngine(matrix)
        self._checks = counter(
            registry,
            "role_compat_checks_total",
            "Checks of an old role list beside its capability.",
            ("site", "outcome"),
        )
        self._logs = DenialBudget(1, clock or SystemClock())
        self._lock = threading.Lock()
        self._counts = dict.fromkeys((*_OUTCOMES.values(), "error"), 0)
        home = REGISTRY if registry is None else registry
        with _registering:
            _registered.add(self)
            # Shared by all of one registry: a bound for each site alone would be none.
            self._site = _site_labels.setdefault(home, LabelGuard(_SITES_LABELLED)).label(self.name)
        for outcome in _OUTCOMES.values():
            # There at 0: a query for sites without a difference finds no series that has yet to be made.
            self._checks.labels(self._site, outcome)

    def allows(self, ctx: SecurityContext, resource: Any = None) -> bool:
        """Tell whether the side that decides allows it. Raises nothing that an engine can cause."""
        return self._ask(ctx, resource, self._asked()).allowed

    def check(self, ctx: SecurityContext, resource: Any = None) -> Decision:
        """Return the deciding side's answer when it allows; a denial is that of `ensure_capability`.

        Raises:
            ApiError: 403 `missing_role`.
        """
        return acting_guard().check(ctx, self.capability, resource, _Both(self, self._asked()))

    def differences(self) -> tuple[CompatDifference, ...]:
        """Return each role that, held alone, gets another answer from the old list than from the capability.

        Every role of the matrix and of the old list is tried; for an engine without a matrix, the platform's roles. A
        matrix grants to several roles what it grants to any of them, so with none here no set of known roles differs.
        """
        engine = _behind(self._asked())
        known = _vocabulary(engine)
        found = []
        for role in (*known, *sorted(self.roles - {*known})):
            ctx = SecurityContext(UUID(int=0), Actor("role-compat", "system"), frozenset({role}), _TRACE)
            old, new = role in self.roles, self._capability(ctx, None, engine)[0].allowed
            if old is not new:
                found.append(CompatDifference(role, old, new, role in known))
        return tuple(found)

    def report(self) -> RoleCompatReport:
        """Return the counts of this process so far, and the differences by enumeration."""
        known = _vocabulary(_behind(self._asked()))
        with self._lock:
            counts = dict(self._counts)
        return RoleCompatReport(
            name=self.name,
            capability=self.capability,
            decides=self.decides,
            errors=counts.pop("error"),
            differences=self.differences(),
            unknown_roles=tuple(sorted(self.roles - {*known})),
            **counts,
        )

    def _asked(self) -> PolicyEngine:
        return pinned(acting_guard().engine if self._engine is None else self._engine)

    def _ask(self, ctx: SecurityContext, resource: Any, engine: PolicyEngine) -> Decision:
        old = self._old(ctx)
        new, failed = self._capability(ctx, resource, engine)
        outcome = _OUTCOMES[old.allowed, new.allowed]
        with self._lock:
            self._counts[outcome] += 1
            self._counts["error"] += failed
        self._checks.labels(self._site, outcome).inc()
        if old.allowed is not new.allowed and self._logs.spend("differs"):
            self._say("an old role list and its capability differ", "role_compat_differs", ctx, outcome=outcome)
        return old if self.decides == "roles" else new

    def _old(self, ctx: SecurityContext) -> Decision:
        held = ctx.roles & self.roles
        reason = "role_listed" if held else "no_role_listed"
        return Decision(bool(held), self.capability, reason, frozenset(held), self.roles)

    def _capability(self, ctx: SecurityContext, resource: Any, engine: PolicyEngine) -> tuple[Decision, bool]:
        """Return the engine's answer and whether it erred; as everywhere, an engine that errs denies."""
        failure = "no_decision"
        try:
            answer: object = engine.decide(ctx, self.capability, resource)
            if isinstance(answer, Decision) and isinstance(answer.allowed, bool):
                return answer, False
        except STOPS:
            raise
        except BaseException as error:  # noqa: BLE001 - the old list still answers
            failure = type(error).__name__
        if self._logs.spend("failed"):
            self._say("the engine of a role check failed", "role_compat_failed", ctx, failure=failure)
        return Decision(False, self.capability, "engine_error"), True

    def _say(self, message: str, action: str, ctx: SecurityContext, **facts: object) -> None:
        about = {"site": self.name, "capability": self.capability, "roles": sorted(ctx.roles)}
        _log.warning(message, extra={"action": action, "trace_id": ctx.trace.trace_id, **about, **facts})


class _Both:
    """A `RoleCompat` as the engine of one check: the guard then counts, names and tells its denial like any other."""

    name = "role_compat"

    def __init__(self, compat: RoleCompat, engine: PolicyEngine) -> None:
        self._compat = compat
        self._engine = engine

    def decide(self, ctx: SecurityContext, _capability: str, resource: Any = None) -> Decision:
        return self._compat._ask(ctx, resource, self._engine)  # noqa: SLF001 - the other half of RoleCompat

    def denial_name(self, capability: str) -> str:
        return self._engine.denial_name(capability)


def role_compat_report() -> tuple[RoleCompatReport, ...]:
    """Return the report of every `RoleCompat` of this process, by name.

    Each worker process has its own counts; `role_compat_checks_total` adds them up.
    """
    with _registering:
        every = list(_registered)
    return tuple(sorted((compat.report() for compat in every), key=lambda report: (report.name, report.capability)))


def _behind(engine: PolicyEngine) -> PolicyEngine:
    """Return the engine that answers: enumerating is no traffic that a shadow should count."""
    while isinstance(engine, ShadowEngine):
        engine = engine.live
    return engine


def _vocabulary(engine: PolicyEngine) -> tuple[str, ...]:
    return engine.matrix.roles if isinstance(engine, MatrixEngine) else tuple(map(str, Role))
