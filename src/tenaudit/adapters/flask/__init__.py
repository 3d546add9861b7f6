"""Flask: the same verbs as the other adapters, around WSGI.

A WSGI server joins two headers of one name with a comma and may fold `X_Roles` into `X-Roles`, so behind it only
`trust="signed"` tells a forged header from a true one; `install` says so in the log.
"""

from __future__ import annotations

from tenaudit._kernel.extras import MissingExtra

try:
    import flask as _flask  # noqa: F401 - looked for here, used below this package
except ImportError as error:
    raise MissingExtra("flask") from error

from tenaudit.adapters.flask.install import install
from tenaudit.adapters.flask.lifespan import lifespan
from tenaudit.adapters.flask.middleware import GateMiddleware
from tenaudit.adapters.flask.routes import audit_routes, internal_routes
from tenaudit.adapters.flask.wire import context_of
from tenaudit.gate import authenticated, public, require
from tenaudit.security import current_context as current

__all__ = [
    "GateMiddleware",
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
