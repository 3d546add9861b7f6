"""Signed contexts: RFC 9421 message signatures over the identity headers and the request line."""

from tenaudit.security.signing.keys import SignatureKey
from tenaudit.security.signing.signer import ContextSigner
from tenaudit.security.signing.target import SignedTarget
from tenaudit.security.signing.verifier import ContextVerifier, UntrustedContext

__all__ = ["ContextSigner", "ContextVerifier", "SignatureKey", "SignedTarget", "UntrustedContext"]
