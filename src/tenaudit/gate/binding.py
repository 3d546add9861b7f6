"""What a request binds to its task: the context that handlers read and the guard that `ensure_capability` asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.policy.guard import BOUND_GUARD
from tenaudit.security.context import BOUND_CONTEXT

if TYPE_CHECKING:
    from contextvars import Token

    from tenaudit.gate.gate import Gate
    from tenaudit.gate.message import Identity
    from tenaudit.policy import PolicyGuard
    from tenaudit.security import SecurityContext

__all__ = ["bind_request", "unbind_request"]

_Bound = tuple["Token[PolicyGuard]", "Token[SecurityContext] | None"]


def bind_request(gate: Gate, identity: Identity) -> _Bound:
    """Bind guard and context, if there is one, to the running task; undo with `unbind_request`."""
    context = identity.context
    return BOUND_GUARD.set(gate.policy), None if context is None else BOUND_CONTEXT.set(context)


def unbind_request(bound: _Bound) -> None:
    """Undo a `bind_request` of the same task."""
    guard, context = bound
    if context is not None:
        BOUND_CONTEXT.reset(context)
    BOUND_GUARD.reset(guard)
