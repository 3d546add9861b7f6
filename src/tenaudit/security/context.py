"""Who is asking, for which tenant, in which trace: one frozen value, bound to the running task."""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from tenaudit._kernel.error import TenauditError

if TYPE_CHECKING:
    from types import TracebackType
    from uuid import UUID

__all__ = [
    "BOUND_CONTEXT",
    "Actor",
    "NoContextError",
    "SecurityContext",
    "TraceContext",
    "bind_context",
    "context_or_none",
    "current_context",
]


class NoContextError(TenauditError, LookupError):
    """No security context is bound: is the tenaudit middleware installed, and is this a request?"""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: a user, a service, an API key, the system, or nobody known (`id` None).

    Example:
        >>> Actor("u-1").type, Actor(None, "anonymous").id
        ('user', None)
    """

    id: str | None
    type: str = "user"


@dataclass(frozen=True, slots=True, init=False)
class TraceContext:
    """A W3C trace: 32 and 16 lower-case hex digits, the sampled flag and the opaque tracestate."""

    trace_id: str
    parent_id: str | None
    sampled: bool
    tracestate: str

    def __init__(self, trace_id: str, parent_id: str | None, sampled: bool, tracestate: str = "") -> None:  # noqa: FBT001 - contract
        # One is made for each request: the slots' own setters cost half of what a frozen dataclass does.
        _set_trace_id(self, trace_id)
        _set_parent_id(self, parent_id)
        _set_sampled(self, sampled)
        _set_tracestate(self, tracestate)


_set_trace_id, _set_parent_id, _set_sampled, _set_tracestate = (
    getattr(TraceContext, field.name).__set__ for field in fields(TraceContext)
)


@dataclass(frozen=True, slots=True, init=False)
class SecurityContext:
    """The verified identity of one request; every decision and every audit event starts from it.

    Example:
        >>> from uuid import UUID
        >>> ctx = SecurityContext(UUID(int=1), Actor("u-1"), frozenset({"Cashier"}),
        ...                       TraceContext("0af7651916cd43dd8448eb211c80319c", None, False))
        >>> with bind_context(ctx):
        ...     current_context().actor.id
        'u-1'
    """

    tenant_id: UUID
    actor: Actor
    roles: frozenset[str]
    trace: TraceContext
    auth_method: str
    session_id: str | None
    client_ip: str | None
    user_agent: str | None

    def __init__(
        self,
        tenant_id: UUID,
        actor: Actor,
        roles: frozenset[str],
        trace: TraceContext,
        auth_method: str = "header",
        session_id: str | None = None,
        client_ip: str | None = None,
        user_agent: str | None = None,
    ) -> None:
        # As in TraceContext.
        _set_tenant_id(self, tenant_id)
        _set_actor(self, actor)
        _set_roles(self, roles)
        _set_trace(self, trace)
        _set_auth_method(self, auth_method)
        _set_session_id(self, session_id)
        _set_client_ip(self, client_ip)
        _set_user_agent(self, user_agent)


(
    _set_tenant_id,
    _set_actor,
    _set_roles,
    _set_trace,
    _set_auth_method,
    _set_session_id,
    _set_client_ip,
    _set_user_agent,
) = (getattr(SecurityContext, field.name).__set__ for field in fields(SecurityContext))


# For the gate, which sets and resets it on every request; everyone else uses the functions below. None says that the
# request has nobody: a server may start it in the context of another, as uvicorn does with pipelined ones.
BOUND_CONTEXT: ContextVar[SecurityContext | None] = ContextVar("tenaudit_security_context", default=None)


def current_context() -> SecurityContext:
    """Return the context bound to this task or thread.

    Raises:
        NoContextError: none is bound; there is never a default tenant.
    """
    context = BOUND_CONTEXT.get()
    if context is None:
        raise NoContextError
    return context


def context_or_none() -> SecurityContext | None:
    """Return the bound context, or None outside a request."""
    return BOUND_CONTEXT.get()


class bind_context:  # noqa: N801 - reads as a verb in a with statement
    """Binds *ctx* for a block; what was bound before comes back when the block ends.

    Contextvars carry it into tasks, `asyncio.to_thread` and copied contexts, and never into another request.

    Raises:
        RuntimeError: one instance is entered while it is already open; it could not find its way back.
    """

    __slots__ = ("_ctx", "_token")

    def __init__(self, ctx: SecurityContext) -> None:
        self._ctx = ctx
        self._token: Token[SecurityContext | None] | None = None

    def __enter__(self) -> SecurityContext:
        if self._token is not None:
            raise RuntimeError("this bind_context is already open; make a new one to nest")
        self._token = BOUND_CONTEXT.set(self._ctx)
        return self._ctx

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            BOUND_CONTEXT.reset(self._token)
            self._token = None
