"""Tenancy, authorization, error and audit spine for multi-tenant services.

The everyday names are here and load on first use (PEP 562): importing `tenaudit` imports no framework, no driver
and no pydantic.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenaudit.audit import AuditEvent, AuditProducer, AuditQuery
    from tenaudit.errors import ApiError, ConfigurationError, ErrorCatalogue, MissingExtra, TenauditError
    from tenaudit.gate import Gate
    from tenaudit.policy import Capability, PolicyMatrix, Role, ensure_capability
    from tenaudit.ratelimit import parse_rule
    from tenaudit.security import SecurityContext, SecuritySettings, bind_context, current_context, extract_context

__all__ = [
    "ApiError",
    "AuditEvent",
    "AuditProducer",
    "AuditQuery",
    "Capability",
    "ConfigurationError",
    "ErrorCatalogue",
    "Gate",
    "MissingExtra",
    "PolicyMatrix",
    "Role",
    "SecurityContext",
    "SecuritySettings",
    "TenauditError",
    "__version__",
    "bind_context",
    "current_context",
    "ensure_capability",
    "extract_context",
    "parse_rule",
]
__version__ = "0.1.0"

_HOME = {
    "ApiError": "errors",
    "AuditEvent": "audit",
    "AuditProducer": "audit",
    "AuditQuery": "audit",
    "Capability": "policy",
    "ConfigurationError": "errors",
    "ErrorCatalogue": "errors",
    "Gate": "gate",
    "MissingExtra": "errors",
    "PolicyMatrix": "policy",
    "Role": "policy",
    "SecurityContext": "security",
    "SecuritySettings": "security",
    "TenauditError": "errors",
    "bind_context": "security",
    "current_context": "security",
    "ensure_capability": "policy",
    "extract_context": "security",
    "parse_rule": "ratelimit",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'tenaudit' has no attribute {name!r}")
    value = getattr(_import_module(f"tenaudit.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
