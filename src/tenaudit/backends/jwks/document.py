"""One GET of a small document, with nothing followed, nothing unpacked and nothing without a bound."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra

try:
    import httpx
except ImportError as error:
    raise MissingExtra("jwks", "httpx") from error

if TYPE_CHECKING:
    import ssl

__all__ = ["Document", "DocumentError", "tls_context"]

_HEADERS = {
    "Accept": "application/jwk-set+json, application/json",
    # Packed bytes can grow a thousandfold after they were counted.
    "Accept-Encoding": "identity",
}


class DocumentError(Exception):
    """The document was not had; the text names a kind, never an address or a byte of the answer."""


@dataclass(frozen=True, slots=True)
class Document:
    """Where a document is, and what getting it may cost.

    Args:
        url: `https`, or `http` on a loopback host; without user name, password and fragment.
        timeout: seconds for everything, from the name look-up to the last byte.
        max_bytes: the largest body.

    Raises:
        ConfigurationError: the URL is none of these, or a bound is not above 0.

    Example:
        >>> Document("https://idp.example/jwks", timeout=5.0, max_bytes=1024).host
        'idp.example'
    """

    url: str
    timeout: float
    max_bytes: int

    def __post_init__(self) -> None:
        if not (0 < self.timeout <= 60 and self.max_bytes >= 1):
            raise ConfigurationError("timeout must be above 0 and at most 60 seconds, max_bytes at least 1")
        try:
            url = httpx.URL(self.url)
        except (httpx.InvalidURL, TypeError):
            raise ConfigurationError("the JWKS URL is malformed") from None
        # The URL itself is never told: it may hold the very secret that is refused here.
        if url.scheme not in {"https", "http"} or not url.host:
            raise ConfigurationError("the JWKS URL must be https with a host")
        if url.scheme == "http" and not self.loopback:
            raise ConfigurationError("the JWKS URL must be https, or http on a loopback host")
        if url.userinfo or url.fragment:
            raise ConfigurationError("the JWKS URL must have no user name, password or fragment")

    @property
    def host(self) -> str:
        """The host's name, in lower case."""
        return httpx.URL(self.url).host

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    async def get(self, client: httpx.AsyncClient | None, context: ssl.SSLContext) -> bytes:
        """Return the body; without a *client*, one is made with *context* for this GET alone.

        Raises:
            DocumentError: no 200, a body that is packed or too large, or no whole answer in time.
        """
        try:
            async with asyncio.timeout(self.timeout):
                if client is not None:
                    return await self._read(client)
                # A proxy has no business between a service and its own machine.
                async with httpx.AsyncClient(verify=context, trust_env=not self.loopback) as own:
                    return await self._read(own)
        except TimeoutError:
            raise DocumentError("timeout") from None
        except httpx.HTTPError as error:
            raise DocumentError(type(error).__name__) from None

    async def _read(self, client: httpx.AsyncClient) -> bytes:
        asked = client.stream("GET", self.url, headers=_HEADERS, follow_redirects=False, timeout=self.timeout)
        async with asked as answer:
            if answer.status_code != httpx.codes.OK:
                raise DocumentError(f"status_{answer.status_code}")
            if answer.headers.get("content-encoding", "identity").lower() != "identity":
                raise DocumentError("packed")
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > self.max_bytes:
                    raise DocumentError("too_large")
            return bytes(body)


def tls_context() -> ssl.SSLContext:
    """Return httpx's own trust settings; to make them takes longer than a GET, so they are made once."""
    return httpx.create_ssl_context()
