"""The gate: the only package that knows security, policy, rate limits, errors and audit together."""

from tenaudit.gate.audit_api import AuditApi
from tenaudit.gate.declaration import authenticated, declared, public, require
from tenaudit.gate.gate import Gate
from tenaudit.gate.message import Admission, Identity, RequestView, RouteRule
from tenaudit.gate.operations import health_reply, metrics_reply

__all__ = [
    "Admission",
    "AuditApi",
    "Gate",
    "Identity",
    "RequestView",
    "RouteRule",
    "authenticated",
    "declared",
    "health_reply",
    "metrics_reply",
    "public",
    "require",
]
