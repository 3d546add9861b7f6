"""Security context: who asks, for which tenant, with which roles, in which trace.

`JwtAuthenticator` needs the `jwt` extra and is loaded on first use.
"""

from typing import TYPE_CHECKING

from tenaudit.security.api_keys import (
    ApiKeyAuthenticator,
    ApiKeyChangeError,
    ApiKeyLookup,
    ApiKeyPage,
    ApiKeyRecord,
    ApiKeyRotation,
    ApiKeyStore,
    ApiKeyStoreError,
    InMemoryApiKeyStore,
    new_api_key,
    rotate_api_key,
)
from tenaudit.security.authenticator import Authenticator, authenticate_chain
from tenaudit.security.context import (
    Actor,
    NoContextError,
    SecurityContext,
    TraceContext,
    bind_context,
    context_or_none,
    current_context,
)
from tenaudit.security.default_role import DefaultRole
from tenaudit.security.extract import HEADERS_READ, extract_context, extract_trace
from tenaudit.security.forms import IDENTITY_HEADERS
from tenaudit.security.key_source import KeySource
from tenaudit.security.principal import Principal, strip_identity_headers, synthesize_headers
from tenaudit.security.raw_headers import extract_raw
from tenaudit.security.roles import Role
from tenaudit.security.settings import SecuritySettings
from tenaudit.security.signing import ContextSigner, ContextVerifier, SignatureKey, SignedTarget, UntrustedContext
from tenaudit.security.trace import parse_traceparent

if TYPE_CHECKING:
    from tenaudit.security.tokens import JwtAuthenticator

__all__ = [
    "HEADERS_READ",
    "IDENTITY_HEADERS",
    "Actor",
    "ApiKeyAuthenticator",
    "ApiKeyChangeError",
    "ApiKeyLookup",
    "ApiKeyPage",
    "ApiKeyRecord",
    "ApiKeyRotation",
    "ApiKeyStore",
    "ApiKeyStoreError",
    "Authenticator",
    "ContextSigner",
    "ContextVerifier",
    "DefaultRole",
    "InMemoryApiKeyStore",
    "JwtAuthenticator",
    "KeySource",
    "NoContextError",
    "Principal",
    "Role",
    "SecurityContext",
    "SecuritySettings",
    "SignatureKey",
    "SignedTarget",
    "TraceContext",
    "UntrustedContext",
    "authenticate_chain",
    "bind_context",
    "context_or_none",
    "current_context",
    "extract_context",
    "extract_raw",
    "extract_trace",
    "new_api_key",
    "parse_traceparent",
    "rotate_api_key",
    "strip_identity_headers",
    "synthesize_headers",
]


def __getattr__(name: str) -> object:
    if name == "JwtAuthenticator":
        from tenaudit.security.tokens import JwtAuthenticator  # noqa: PLC0415 - needs an extra, so only on use

        return JwtAuthenticator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
