"""The text that is signed (RFC 9421 section 2.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenaudit.security.signing.target import SignedTarget

__all__ = ["DERIVED", "TAG", "derived_values", "signature_base"]

# What binds a context to one request (section 2.2).
DERIVED = ("@method", "@authority", "@path", "@query")
# Tells our signatures from those of other applications (section 2.3); also our label.
TAG = "tenaudit"


def derived_values(request: SignedTarget) -> dict[str, str]:
    """Return the values of the derived components.

    The authority is lower-case and without a default port (section 2.2.3): both 80 and 443 count as default, since a
    service behind a proxy does not know by which scheme the client came. A path that is empty is `/` (section 2.2.6),
    a query that is absent is `?` (section 2.2.7).

    Example:
        >>> from tenaudit.security import SignedTarget
        >>> derived_values(SignedTarget("GET", "Shop.example:443", "/a?x=1"))["@authority"]
        'shop.example'
    """
    path, _, query = request.target.partition("?")
    authority = request.authority.strip().lower()
    host, colon, port = authority.rpartition(":")
    if colon and port in ("80", "443"):
        authority = host
    return {
        "@method": request.method,
        "@authority": authority,
        "@path": path or "/",
        "@query": f"?{query}",
    }


def signature_base(components: Iterable[tuple[str, str]], parameters: str) -> bytes:
    """Return the lines of the components, and that of the parameters, as they are signed.

    Args:
        components: identifier and value, in the order of the signature's list.
        parameters: the inner list with its parameters, exactly as it stands in `Signature-Input`.
    """
    lines = [f'"{name}": {value}' for name, value in components]
    lines.append(f'"@signature-params": {parameters}')
    # A value outside Latin-1 cannot have come over HTTP; it signs as nothing that could ever match.
    return "\n".join(lines).encode("latin-1", "replace")
