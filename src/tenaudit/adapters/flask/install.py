"""Putting a gate in front of an application."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException

from tenaudit.adapters.flask.guard import Guard, guarded_adding
from tenaudit.adapters.flask.middleware import GateMiddleware
from tenaudit.errors import ApiError
from tenaudit.gate import Declarations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask

    from tenaudit.gate import Declaration, Gate

__all__ = ["install"]

_log = logging.getLogger("tenaudit.gate")


def install(
    app: Flask, gate: Gate, *, undeclared: str = "refuse", rules: Mapping[str, Declaration] | None = None
) -> None:
    """Put *gate* in front of every route of *app*, those that are added later included.

    Args:
        app: an application that has not served yet.
        gate: what decides.
        undeclared: what to do with a route that declares nothing: `"refuse"` it when it is added, or
            `"identify"`: serve it to anyone with an identity, and say so in the log.
        rules: declarations of routes whose views cannot be decorated, by the route's rule, such as
            `{"/static/<path:filename>": public()}`.

    Raises:
        ConfigurationError: *undeclared* is neither, or a route declares nothing and that is refused.

    Example:
        >>> from flask import Flask
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.adapters.flask import internal_routes
        >>> from tenaudit.gate import Gate
        >>> app = Flask("orders")
        >>> install(app, gate := Gate("orders", registry=CollectorRegistry()))
        >>> app.register_blueprint(internal_routes(gate))
        >>> app.test_client().get("/internal/health").status_code
        200
    """
    if not gate.needs_target and not gate.is_edge:
        # Said at start-up, since nothing in a request shows it: SECURITY.md has the whole story.
        _log.warning(
            "a WSGI server may merge X-Roles with X_Roles or with a second X-Roles, and the application cannot see it: "
            'only trust="signed" is safe against a client that reaches this server past the mesh',
            extra={"action": "wsgi_merges_headers", "service": gate.service},
        )
    guard = Guard(app, gate, Declarations(gate, undeclared, rules))
    guard.check()
    app.add_url_rule = guarded_adding(guard, app.add_url_rule)  # type: ignore[method-assign]
    app.make_default_options_response = guard.options  # type: ignore[method-assign, assignment]
    app.url_value_preprocessors[None].insert(0, guard.admit)
    # More specific handlers of the application's own still come first.
    app.error_handler_spec[None][None].setdefault(ApiError, guard.answer)
    app.register_error_handler(Exception, guard.answer)
    app.register_error_handler(HTTPException, guard.answer)
    app.wsgi_app = GateMiddleware(app.wsgi_app, gate)  # type: ignore[method-assign]
