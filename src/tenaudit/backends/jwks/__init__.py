"""Keys of an identity provider, fetched over HTTP from its JWKS URL."""

from tenaudit.backends.jwks.source import JwksKeySource

__all__ = ["JwksKeySource"]
