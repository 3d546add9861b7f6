"""One request from start to end: identity, rate, capability, and the account of how it ended.

Rules of this file: it composes; every decision is made by a package below, and nothing is written back onto a
request.
"""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.errors import ApiError, ErrorCatalogue, HttpMetrics, Reply, error_reply
from tenaudit.gate.far_limits import FarLimits
from tenaudit.gate.field_value import sendable
from tenaudit.gate.limits import Limits
from tenaudit.gate.message import Admission, Identity, RequestView, RouteRule, make_admission, make_identity
from tenaudit.policy import Decision, MatrixEngine, PolicyGuard, PolicyMatrix
from tenaudit.ratelimit import rate_limit_headers
from tenaudit.security import (
    SecurityContext,
    SecuritySettings,
    authenticate_chain,
    extract_context,
    extract_raw,
    extract_trace,
    strip_identity_headers,
    synthesize_headers,
)
from tenaudit.security.settings import count_unknown_roles, count_untrusted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry

    from tenaudit.audit import AuditProducer
    from tenaudit.policy import PolicyEngine
    from tenaudit.policy.guard import Disclosure
    from tenaudit.ratelimit import RateLimiterEngine, Rule
    from tenaudit.security import Authenticator, TraceContext

__all__ = ["Gate"]

_log = logging.getLogger("tenaudit.gate")


class Gate:
    """Joins security, rate limits, policy, errors, metrics and audit for one service.

    Args:
        service: name of the service, in metrics and events.
        security: what to believe of identity headers.
        policy: an engine or a matrix; the default matrix when None.
        limiter: who counts; in this process when None.
        limits: rules of every tenant, as `"100/minute"` or `Rule`.
        producer: where denials and audited reads are emitted; None emits nothing.
        errors: the service's declared error codes.
        registry: where the metric families live.
        disclose: what a denied client may read.
        authenticators: makes this an edge gate: identity headers of the client are stripped, a credential is
            checked and the headers are synthesized from it.
        deadline: seconds that authenticators and a limiter that is not in this process may take for one request,
            each; then the answer is 503 `unavailable`.

    Raises:
        ConfigurationError: a setting is wrong; the message names it.

    Example:
        >>> import asyncio
        >>> from prometheus_client import CollectorRegistry
        >>> gate = Gate("orders", registry=CollectorRegistry())
        >>> view = RequestView([("X-Tenant-ID", "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"), ("X-Roles", "Cashier")])
        >>> async def main():
        ...     admission = await gate.admit(await gate.identify(view), RouteRule("payment_process"))
        ...     return admission.decision.allowed
        >>> asyncio.run(main())
        True
    """

    def __init__(
        self,
        service: str,
        *,
        security: SecuritySettings | None = None,
        policy: PolicyEngine | PolicyMatrix | None = None,
        limiter: RateLimiterEngine | None = None,
        limits: Sequence[str | Rule] = (),
        producer: AuditProducer | None = None,
        errors: ErrorCatalogue | None = None,
        registry: CollectorRegistry | None = None,
        disclose: Disclosure = "capability",
        authenticators: Sequence[Authenticator] = (),
        deadline: float = 5.0,
    ) -> None:
        if not 0 < deadline < math.inf:
            raise ConfigurationError(f"deadline must be a finite number of seconds above 0, not {deadline!r}")
        self.service = service
        self.deadline = deadline
        self.producer = producer
        self.registry = registry
        security = security or SecuritySettings()
        if security.on_unknown_roles is count_unknown_roles:
            security = replace(security, on_unknown_roles=partial(count_unknown_roles, registry=registry))
        if security.on_untrusted is count_untrusted:
            security = replace(security, on_untrusted=partial(count_untrusted, registry=registry))
        self.security = security
        # Whether the signature of a context is bound to the request line, which adapters read only then.
        self.needs_target = security.trust == "signed"
        self.errors = errors or ErrorCatalogue()
        self.metrics = HttpMetrics(service, catalogue=self.errors, registry=registry)
        self.policy = PolicyGuard(
            MatrixEngine(policy) if isinstance(policy, PolicyMatrix) else policy,
            registry=registry,
            on_denial=self._audit_denial,
            disclose=disclose,
        )
        self._authenticators = tuple(authenticators)
        self.is_edge = bool(self._authenticators)
        self.limits = Limits(limiter, limits, registry)
        self._far_limits = FarLimits(self.limits, deadline, self.unreleased)
        self.is_limited = self.limits.is_on
        # Whether a request is identified and admitted without waiting for anything, so that no loop is needed.
        self.is_immediate = not self.is_edge and self.limits.is_immediate
        # Whether header bytes are all that an identity needs, which adapters over bytes make use of.
        self.reads_raw = not self.is_edge and not self.needs_target
        if self.is_edge and self.needs_target:
            raise ConfigurationError('an edge gate checks credentials, not signatures: leave trust at "mesh" there')
        _log.info(
            'identity headers are believed because trust="%s": %s',
            security.trust,
            "they are signed" if self.needs_target else "an upstream must strip and set them",
            extra={"action": "trust_mode", "service": service, "trust": security.trust},
        )

    async def identify(self, view: RequestView) -> Identity:
        """Read or establish who asks; a refusal is returned, not raised, since public routes need nobody."""
        if not self.is_edge:
            return self.recognize(view)
        headers = strip_identity_headers(view.headers)
        try:
            credentials: dict[str, str] = {}
            for name, value in headers:
                lowered = name.lower()
                # Two of one name are joined, as WSGI joins them: no credential reads like that, so neither is taken.
                credentials[lowered] = f"{credentials[lowered]},{value}" if lowered in credentials else value
            async with asyncio.timeout(self.deadline):
                principal = await authenticate_chain(self._authenticators, credentials)
            headers = [*headers, *synthesize_headers(principal)]
        except Exception as error:  # noqa: BLE001 - a key store may fail in any way, and public routes need nobody
            return self.nobody(headers, error)
        return self.recognize(RequestView(headers, view.client_ip))

    def nobody(self, headers: Sequence[tuple[str, str]], error: Exception) -> Identity:
        """Return the identity of a request at an edge whose credential was not accepted, or could not be checked."""
        headers = strip_identity_headers(headers)
        trace = extract_trace(headers, settings=self.security)
        return Identity(None, self._refusal(error, trace, "Credentials cannot be checked now."), trace, headers)

    def recognize(self, view: RequestView) -> Identity:
        """Read who asks from identity headers alone, which takes no waiting; for gates that are no edge."""
        headers = view.headers
        try:
            context = extract_context(headers, settings=self.security, client_ip=view.client_ip, request=view.target)
        except ApiError as refusal:
            return Identity(None, refusal, extract_trace(headers, settings=self.security), headers)
        return Identity(context, None, context.trace, headers)

    def recognize_raw(self, headers: Sequence[tuple[bytes, bytes]], client_ip: str | None) -> Identity:
        """`recognize` from header bytes with lower-case names; for gates with `trust="mesh"` that are no edge."""
        try:
            context = extract_raw(headers, settings=self.security, client_ip=client_ip)
        except ApiError as refusal:
            pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
            return Identity(None, refusal, extract_trace(pairs, settings=self.security), ())
        return make_identity((context, None, context.trace, ()))

    async def admit(self, identity: Identity, rule: RouteRule) -> Admission:
        """Let a request through to the handler of a route, or refuse it.

        Raises:
            ApiError: 401 or 400 for the identity, 429 for the rate, 403 for the capability, in this order; 503
                `unavailable` when the limiter fails or does not answer in time.
        """
        if self.limits.is_immediate or identity.context is None:
            return self.admit_nowait(identity, rule)
        try:
            rate = await self._far_limits.charge(identity.context)
        except ApiError:
            raise
        except Exception as error:
            raise self._refusal(error, identity.trace, "Rate limits cannot be checked now.") from error
        try:
            return Admission(identity, rate, self.ensure(identity, rule))
        except ApiError as denial:
            # A request that goes no further holds no slot; its answer says where the client stands all the same.
            await self.release(Admission(identity, rate, None))
            denial.headers = (*denial.headers, *rate_limit_headers(rate))
            raise

    def admit_nowait(self, identity: Identity, rule: RouteRule) -> Admission:
        """`admit` without waiting, where `limits.is_immediate`.

        Raises:
            ApiError: as `admit`.
        """
        if not self.is_limited or identity.context is None:
            return make_admission((identity, None, self.ensure(identity, rule)))
        rate = self.limits.charge_nowait(identity.context)
        try:
            return make_admission((identity, rate, self.ensure(identity, rule)))
        except ApiError as denial:
            # As above.
            if self.limits.holds_slots(rate):
                self.limits.release_nowait(identity.context, rate)
            denial.headers = (*denial.headers, *rate_limit_headers(rate))
            raise

    def ensure(self, identity: Identity, rule: RouteRule) -> Decision | None:
        """Check identity and capability alone, which takes no waiting: all of `admit` where no limit applies.

        Raises:
            ApiError: 401 or 400 for the identity, 403 for the capability.
        """
        context = identity.context
        if context is None:
            if rule.is_public:
                return None
            raise identity.refusal or ApiError.unauthorized()
        return None if rule.capability is None else self.policy.check(context, rule.capability)

    def settle(
        self, method: str, template: str | None, status: int, seconds: float, trace: TraceContext | None = None
    ) -> None:
        """Count how a request ended; *template* is the route's, None when no route matched.

        A sampled *trace* may become an exemplar of the duration.
        """
        trace_id = trace.trace_id if trace is not None and trace.sampled else None
        self.metrics.request(method, template, status, seconds, trace_id)

    def holds_slots(self, admission: Admission) -> bool:
        """Tell whether a concurrency rule counted a request and must be given its slot back."""
        return admission.rate is not None and self.limits.holds_slots(admission.rate)

    async def release(self, admission: Admission) -> None:
        """Give the slots of concurrency rules back once the request has ended; a limiter that fails is logged only."""
        context, rate = admission.identity.context, admission.rate
        if context is None or rate is None or not self.limits.holds_slots(rate):
            return
        if self.limits.is_immediate:
            self.limits.release_nowait(context, rate)
        else:
            await self._far_limits.release(context, rate)

    def unreleased(self, error: Exception, trace: TraceContext) -> None:
        """Note that slots were not given back; they come back with their lease."""
        _log.warning(
            "slots of a concurrency limit were not given back; they come back with their lease",
            exc_info=error,
            extra={"action": "slots_not_released", "service": self.service, "trace_id": trace.trace_id},
        )

    def reply(self, error: ApiError, trace: TraceContext, *, accept: str = "") -> Reply:
        """Turn an error into the bytes of its answer, and count it."""
        self.metrics.error(error.code, error.status, trace.trace_id)
        reply = error_reply(error, trace.trace_id, accept=accept, catalogue=self.errors)
        return sendable(reply) if error.headers else reply

    def fault(self, error: Exception, trace: TraceContext) -> ApiError:
        """Turn an unhandled exception into an opaque 500; the log gets the traceback and the trace id."""
        _log.error(
            "unhandled exception, trace %s",
            trace.trace_id,
            exc_info=error,
            extra={"action": "unhandled_exception", "service": self.service, "trace_id": trace.trace_id},
        )
        return ApiError.internal()

    def _refusal(self, error: Exception, trace: TraceContext, message: str) -> ApiError:
        if isinstance(error, ApiError):
            return error
        self.fault(error, trace)
        return ApiError.unavailable(message, retry_after=1)

    def _audit_denial(self, context: SecurityContext, decision: Decision) -> None:
        if self.producer is not None:
            self.producer.emit(
                "capability_denied",
                outcome="denied",
                severity="security",
                payload={"capability": decision.capability, "roles": sorted(context.roles), "reason": decision.reason},
                context=context,
            )
