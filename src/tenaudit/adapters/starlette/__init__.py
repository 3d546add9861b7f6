"""Starlette, and any ASGI framework on top of it: two conversions and two calls.

Pure ASGI, because `BaseHTTPMiddleware` runs the application in another task: contextvars set below it are lost
above it, and each request pays for the task.
"""

from __future__ import annotations

from tenaudit._kernel.extras import MissingExtra

try:
    import starlette as _starlette  # noqa: F401 - looked for here, used below this package
except ImportError as error:
    raise MissingExtra("starlette") from error

from tenaudit.adapters.starlette.install import install
from tenaudit.adapters.starlette.lifespan import lifespan
from tenaudit.adapters.starlette.middleware import GateMiddleware
from tenaudit.adapters.starlette.openapi import document, own_routes
from tenaudit.adapters.starlette.routes import audit_routes, internal_routes
from tenaudit.adapters.starlette.wire import context_of
from tenaudit.gate import authenticated, public, require
from tenaudit.security import current_context as current

__all__ = [
    "GateMiddleware",
    "audit_routes",
    "authenticated",
    "context_of",
    "current",
    "document",
    "install",
    "internal_routes",
    "lifespan",
    "own_routes",
    "public",
    "require",
]
