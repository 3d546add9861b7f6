"""Signed contexts: RFC 9421 over the identity headers."""

from tenaudit.security.signing.target import SignedTarget

__all__ = ["SignedTarget"]
