"""The text that is signed (RFC 9421 section 2.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.security.forms import IDENTITY_HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tenaudit.security.signing.target import SignedTarget

__all__ = ["COMPONENT_OF", "DERIVED", "TAG", "UnsignableError", "derived_values", "signature_base"]

# What binds a context to one request (section 2.2), as identifiers: with quotes.
DERIVED = ('"@method"', '"@authority"', '"@path"', '"@query"')
# Identity headers to their identifiers.
COMPONENT_OF = {name: f'"{name}"' for name in IDENTITY_HEADERS}
# Tells our signatures from those of other applications (section 2.3); also our label.
TAG = "tenaudit"
# Ports that say nothing (section 2.2.3), and the empty one (RFC 3986 section 6.2.3).
_NO_PORT = (":443", ":80", ":")


class UnsignableError(ValueError):
    """A value cannot stand in a signature base: it is no ASCII, or it holds a line break."""


def derived_values(request: SignedTarget) -> dict[str, str]:
    """Return the values of the derived components, by identifier.

    The authority is lower-case and without a default port (section 2.2.3): both 80 and 443 count as default, since a
    service behind a proxy does not know by which scheme the client came. A path that is empty is `/` (section 2.2.6),
    a query that is absent is `?` (section 2.2.7).

    Example:
        >>> from tenaudit.security import SignedTarget
        >>> derived_values(SignedTarget("GET", "Shop.example:443", "/a?x=1"))['"@authority"']
        'shop.example'
    """
    method, authority, target = request
    path, _, query = target.partition("?")
    authority = authority.strip(" \t").lower()
    if authority.endswith(_NO_PORT):
        authority = authority[: authority.rindex(":")]
    return {'"@method"': method, '"@authority"': authority, '"@path"': path or "/", '"@query"': "?" + query}


def signature_base(components: Iterable[str], values: Mapping[str, str], parameters: str) -> bytes:
    r"""Return the lines of the components, and that of the parameters, as they are signed.

    Args:
        components: identifiers, in the order of the signature's list.
        values: the value of each of them.
        parameters: the inner list with its parameters, serialized.

    Raises:
        UnsignableError: the text is not ASCII (section 2.5), which two sides could read as different bytes, or a line
            break in a value would make it look like two.

    Example:
        >>> signature_base(['"@method"'], {'"@method"': "GET"}, '("@method");created=1')
        b'"@method": GET\n"@signature-params": ("@method");created=1'
    """
    lines = [f"{name}: {values[name]}" for name in components]
    lines.append(f'"@signature-params": {parameters}')
    base = "\n".join(lines)
    if not base.isascii() or base.count("\n") != len(lines) - 1 or "\r" in base:
        raise UnsignableError("a signed value is ASCII without line breaks")
    return base.encode()
