"""The gate: the only package that knows security, policy, rate limits, errors and audit together."""

from tenaudit.gate.audit_api import AuditApi
from tenaudit.gate.declaration import Declaration, authenticated, class_methods, declared, public, require
from tenaudit.gate.declarations import Declarations
from tenaudit.gate.described import gate_codes, identity_schemes
from tenaudit.gate.exchange import Exchange, allow_value, framework_error
from tenaudit.gate.gate import Gate
from tenaudit.gate.message import Admission, Identity, RequestView, RouteRule, request_target
from tenaudit.gate.open_exports import ExportSettings
from tenaudit.gate.open_tails import TailSettings
from tenaudit.gate.operations import health_reply, metrics_reply
from tenaudit.gate.stream import StreamedReply

__all__ = [
    "Admission",
    "AuditApi",
    "Declaration",
    "Declarations",
    "Exchange",
    "ExportSettings",
    "Gate",
    "Identity",
    "RequestView",
    "RouteRule",
    "StreamedReply",
    "TailSettings",
    "allow_value",
    "authenticated",
    "class_methods",
    "declared",
    "framework_error",
    "gate_codes",
    "health_reply",
    "identity_schemes",
    "metrics_reply",
    "public",
    "request_target",
    "require",
]
