"""Errors with one shape and metrics with bounded labels.

TenauditError                what tenaudit raises on its own account
├── ConfigurationError       a setting or a wiring choice is wrong
├── MissingExtra             an optional dependency is not installed (also an ImportError)
└── ApiError                 a status, a stable code and a text that the client may read
"""

from tenaudit._kernel.error import ConfigurationError, TenauditError
from tenaudit._kernel.extras import MissingExtra
from tenaudit.errors.api_error import ApiError
from tenaudit.errors.catalogue import ErrorCatalogue
from tenaudit.errors.declared import DeclaredError
from tenaudit.errors.labels import LabelGuard
from tenaudit.errors.metrics import HttpMetrics
from tenaudit.errors.negotiation import Accept
from tenaudit.errors.reply import Reply, error_reply, prefers_problem

__all__ = [
    "Accept",
    "ApiError",
    "ConfigurationError",
    "DeclaredError",
    "ErrorCatalogue",
    "HttpMetrics",
    "LabelGuard",
    "MissingExtra",
    "Reply",
    "TenauditError",
    "error_reply",
    "prefers_problem",
]
