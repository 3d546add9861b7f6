"""aiohttp: the same verbs as the other adapters, around one middleware."""

from __future__ import annotations

from tenaudit._kernel.extras import MissingExtra

try:
    import aiohttp as _aiohttp  # noqa: F401 - looked for here, used below this package
except ImportError as error:
    raise MissingExtra("aiohttp") from error

from tenaudit.adapters.aiohttp.install import install
from tenaudit.adapters.aiohttp.lifespan import lifespan
from tenaudit.adapters.aiohttp.routes import audit_routes, internal_routes
from tenaudit.adapters.aiohttp.wire import context_of
from tenaudit.gate import authenticated, public, require
from tenaudit.security import current_context as current

__all__ = [
    "audit_routes",
    "authenticated",
    "context_of",
    "current",
    "install",
    "internal_routes",
    "lifespan",
    "public",
    "require",
]
