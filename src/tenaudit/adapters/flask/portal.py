"""The loop that synchronous views wait on: for credentials of an edge, a shared limiter, a store of events."""

from __future__ import annotations

from tenaudit._kernel.portal import Portal

__all__ = ["PORTAL"]

PORTAL = Portal()
