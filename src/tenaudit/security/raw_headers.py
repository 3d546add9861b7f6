"""The same reading from header bytes, in one pass: what servers of bytes hand over on every request.

Pure, as `extract`: no I/O, no framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.security.extract import HEADERS_READ, IDENTITY_HEADERS, Found, Header, context_of, twin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenaudit.security.context import SecurityContext
    from tenaudit.security.settings import SecuritySettings

__all__ = ["extract_raw"]

_NAMES = {name.encode(): name for name in HEADERS_READ}


def extract_raw(
    headers: Iterable[tuple[bytes, bytes]], *, settings: SecuritySettings, client_ip: str | None = None
) -> SecurityContext:
    """Read the identity that header bytes state, where contexts are not signed.

    The same as `extract_context` of the pairs decoded as ISO 8859-1, at two thirds of its price.

    Args:
        headers: names in lower case, as ASGI has them, and values.
        settings: what to believe; with `trust="mesh"`.
        client_ip: the peer's address as the server knows it.

    Raises:
        ApiError: 400, as `extract_context`.
    """
    found: Found = {}
    for raw_name, raw_value in headers:
        name = _NAMES.get(raw_name)
        if name is not None:
            value = raw_value.decode("latin-1")
            if name not in found:
                found[name] = value
            elif name == "tracestate":
                found[name] = f"{found[name]},{value}"
            else:
                found[name] = Header.REPEATED
        elif b"_" in raw_name:
            folded = raw_name.decode("latin-1")
            if folded.replace("_", "-") in IDENTITY_HEADERS:
                raise twin(folded)
    return context_of(found, settings, client_ip)
