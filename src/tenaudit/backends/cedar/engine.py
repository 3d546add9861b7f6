"""Cedar as a policy engine: it denies unless a policy permits, and whenever anything went wrong."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypedDict

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit.backends.cedar.explanation import CedarExplanation
from tenaudit.backends.cedar.files import policy_files, read_source
from tenaudit.backends.cedar.request import CedarResource, cedar_request
from tenaudit.backends.cedar.rules import CedarAnswer, CedarRules, Source
from tenaudit.policy.decision import Decision
from tenaudit.policy.denials import DenialBudget

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Unpack

    from tenaudit._kernel.clock import Clock
    from tenaudit.backends.cedar.statement import CedarPolicy
    from tenaudit.security.context import SecurityContext

__all__ = ["CedarEngine"]

_log = logging.getLogger("tenaudit.policy")
_REASONS = {"allow": "granted", "deny": "forbidden_by_policy", "none": "engine_error"}


class EngineOptions(TypedDict, total=False):
    """What `CedarEngine` takes beside its policies."""

    denial_names: Mapping[str, str] | None
    roles: Iterable[str] | None
    trials: int
    require_actor: bool
    clock: Clock | None


class CedarEngine:
    """Decides from Cedar policies, parsed and validated once. Thread-safe.

    Cedar skips a policy that errs, so a `forbid` that errs would let a `permit` stand: here any error denies, with the
    reason `engine_error`. A resource of another tenant is denied as `foreign_tenant` before Cedar is asked.

    Args:
        rules: the parsed policies; `from_files` and `from_text` make them.
        denial_names: capability to the name a denied client sees.
        roles: every role there is, so that a policy that misspells one is refused; None: those the policies mention.
        trials: how many roles a default deny tries for `would_grant`, each one more question to Cedar; 0 tries none.
        require_actor: refuse anonymous actors, whatever the policies say.
        clock: time source of the log's bound of one error for a capability and second.

    Raises:
        ConfigurationError: *trials* is negative, a denial name is of no capability of the schema, or a policy mentions
            a role that is not among *roles*.

    Example:
        >>> from uuid import UUID
        >>> from tenaudit.policy import PolicyMatrix
        >>> from tenaudit.security import Actor, SecurityContext, TraceContext
        >>> from tenaudit.backends.cedar import matrix_to_cedar
        >>> engine = CedarEngine.from_text(*matrix_to_cedar(PolicyMatrix.default()))
        >>> trace = TraceContext("0" * 31 + "1", None, False)
        >>> ctx = SecurityContext(UUID(int=1), Actor("u-1"), frozenset({"Support"}), trace)
        >>> decision = engine.decide(ctx, "payment_process")
        >>> decision.reason, sorted(decision.would_grant)
        ('no_role_grants', ['Admin', 'Cashier', 'Manager', 'SuperAdmin'])
    """

    name = "cedar"

    def __init__(
        self,
        rules: CedarRules,
        *,
        denial_names: Mapping[str, str] | None = None,
        roles: Iterable[str] | None = None,
        trials: int = 16,
        require_actor: bool = False,
        clock: Clock | None = None,
    ) -> None:
        if trials < 0:
            raise ConfigurationError(f"trials must be 0 or more, not {trials}")
        self._rules = rules
        self._denial_names = dict(denial_names or {})
        for capability in sorted(self._denial_names.keys() - rules.capabilities):
            raise ConfigurationError(f"denial_names: {capability!r} is no action of the schema")
        self._roles = rules.roles if roles is None else tuple(dict.fromkeys(map(str, roles)))
        for role in sorted(set(rules.roles).difference(self._roles)):
            raise ConfigurationError(f"a policy mentions {role!r}, which is not among the roles")
        self._trials = trials
        self._require_actor = require_actor
        self._logs = DenialBudget(1, clock or SystemClock())

    @classmethod
    def from_files(
        cls,
        policies: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        schema: str | os.PathLike[str],
        **options: Unpack[EngineOptions],
    ) -> CedarEngine:
        """Read policies and schema from files.

        Args:
            policies: files, or folders whose `*.cedar` files are meant.
            schema: the file of the schema, in Cedar's syntax or its JSON form.
            options: as the class takes them.

        Raises:
            ConfigurationError: a file cannot be read or parsed, or a policy does not fit the schema; the message names
                the file and, where Cedar says so, the line and the policy.
        """
        return cls(CedarRules([read_source(path) for path in policy_files(policies)], read_source(schema)), **options)

    @classmethod
    def from_text(cls, policies: str, schema: str, **options: Unpack[EngineOptions]) -> CedarEngine:
        """Take policies and schema as text; errors call them `policies` and `schema`.

        Raises:
            ConfigurationError: as `from_files`.
        """
        return cls(CedarRules([Source("policies", policies)], Source("schema", schema)), **options)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The actions of the schema, sorted."""
        return tuple(sorted(self._rules.capabilities))

    @property
    def policies(self) -> tuple[CedarPolicy, ...]:
        """The policies in force, in the order they were read."""
        return self._rules.policies

    def decide(self, ctx: SecurityContext, capability: str, resource: Any = None) -> Decision:
        """Return whether the policies permit *capability* on *resource*.

        Args:
            ctx: who asks.
            capability: the action.
            resource: a mapping of `type`, `id` and `attributes`; None means the caller's tenant.
        """
        return self.explain(ctx, capability, resource).decision

    def denial_name(self, capability: str) -> str:
        """Return the name of *capability* that a denied client may see."""
        return self._denial_names.get(capability, str(capability))

    def explain(self, ctx: SecurityContext, capability: str, resource: Any = None) -> CedarExplanation:
        """Return the decision with the policies and the errors that led to it."""
        name = str(capability)
        try:
            return self._explain(ctx, name, resource)
        except Exception as error:  # noqa: BLE001 - what cannot be asked is denied, whatever it was
            return self._failed(ctx, name, CedarAnswer("none", errors=(f"{type(error).__name__}: {error}",)))

    def _explain(self, ctx: SecurityContext, capability: str, given: Any) -> CedarExplanation:
        if self._require_actor and ctx.actor.id is None:
            return _denied(capability, "anonymous_actor")
        if capability not in self._rules.capabilities:
            return _denied(capability, "unknown_capability")
        resource = CedarResource.of(given, ctx.tenant_id)
        if resource.foreign_to(ctx.tenant_id):
            return _denied(capability, "foreign_tenant")
        answer = self._rules.ask(cedar_request(ctx, capability, resource, ctx.roles))
        if answer.outcome == "none":
            return self._failed(ctx, capability, answer)
        if answer.outcome == "deny" and not answer.policies:
            return _denied(capability, "no_role_grants", self._would_grant(ctx, capability, resource))
        return _explained(ctx, capability, answer)

    def _would_grant(self, ctx: SecurityContext, capability: str, resource: CedarResource) -> frozenset[str]:
        """Return the roles of which any one, held as well, turns the denial: Cedar's default deny explains nothing."""
        lacking = [role for role in self._roles if role not in ctx.roles]
        return frozenset(
            role
            for role in lacking[: self._trials]
            if self._rules.ask(cedar_request(ctx, capability, resource, ctx.roles | {role})).outcome == "allow"
        )

    def _failed(self, ctx: SecurityContext, capability: str, answer: CedarAnswer) -> CedarExplanation:
        # The errors are not logged: they quote attributes. `explain` gives them to whoever may see those.
        if self._logs.spend(capability if capability in self._rules.capabilities else None):
            about = {"capability": capability, "policies": [policy.name for policy in answer.policies]}
            extra = {"action": "cedar_engine_error", "trace_id": ctx.trace.trace_id, **about}
            _log.error("cedar could not decide; see CedarEngine.explain", extra=extra)
        return _explained(ctx, capability, answer)


def _explained(ctx: SecurityContext, capability: str, answer: CedarAnswer) -> CedarExplanation:
    allowed = answer.outcome == "allow"
    decision = Decision(
        allowed,
        capability,
        _REASONS[answer.outcome],
        granted_by=ctx.roles & {policy.role for policy in answer.policies} if allowed else frozenset(),
        policies=tuple(policy.name for policy in answer.policies),
    )
    return CedarExplanation(decision, answer.policies, answer.errors)


def _denied(capability: str, reason: str, would_grant: frozenset[str] = frozenset()) -> CedarExplanation:
    return CedarExplanation(Decision(False, capability, reason, would_grant=would_grant), (), ())
