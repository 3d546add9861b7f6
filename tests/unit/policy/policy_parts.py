"""Contexts, and an engine whose answers a test chooses."""

from __future__ import annotations

from uuid import UUID

from tenaudit.security import Actor, SecurityContext, TraceContext

__all__ = ["TRACE", "ScriptedEngine", "context"]

TRACE = "0af7651916cd43dd8448eb211c80319c"


def context(*roles, tenant=1):
    return SecurityContext(UUID(int=tenant), Actor("u-1"), frozenset(roles), TraceContext(TRACE, None, False))


class ScriptedEngine:
    """Gives *answer*, or raises it, and remembers what it was asked."""

    name = "scripted"

    def __init__(self, answer, shown="shown", before=lambda: None):
        self.answer, self.shown, self.before, self.asked = answer, shown, before, []

    def decide(self, ctx, capability, resource=None):
        self.asked.append((ctx, capability, resource))
        self.before()
        if isinstance(self.answer, BaseException):
            # A new one each time: a traceback that stays would keep the frames of one test alive in another.
            raise type(self.answer)(*self.answer.args)
        return self.answer

    def denial_name(self, capability):
        if isinstance(self.shown, Exception):
            raise type(self.shown)(*self.shown.args)
        return self.shown
