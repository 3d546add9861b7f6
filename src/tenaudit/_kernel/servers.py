"""The servers that an option or an argument names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address

from tenaudit._kernel.error import ConfigurationError

__all__ = ["servers_of"]

_SERVER = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|[A-Za-z0-9._-]+):([0-9]{1,5})\Z")
_LAST_PORT = 65_535


def servers_of(given: str | Sequence[str], form: str = "bootstrap_servers must be HOST:PORT") -> list[str]:
    """Return the servers; a client would only ever try again with what is no address.

    Args:
        given: `HOST:PORT`, several by commas or as a sequence; an IPv6 address stands in brackets.
        form: what the message says that it must be, with the name of the option or the argument.

    Raises:
        ConfigurationError: there is none, or one of them is no address; with a user in it, it is not repeated.

    Example:
        >>> servers_of("b1:9092, [::1]:9093")
        ['b1:9092', '[::1]:9093']
    """
    parts: object = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, Sequence) or not parts or not all(isinstance(part, str) for part in parts):
        raise ConfigurationError(f"{form}, several by commas or as a list of texts")
    servers = [part.strip() for part in parts]
    if any("@" in server for server in servers):
        # What stands before it may be a password.
        raise ConfigurationError(f"{form}, several by commas, without a user")
    for server in servers:
        if not _is_address(server):
            raise ConfigurationError(f"{form}, several by commas, not {server!r}")
    return servers


def _is_address(server: str) -> bool:
    match = _SERVER.match(server)
    return match is not None and 1 <= int(match[2]) <= _LAST_PORT and (match[1] is None or _is_ipv6(match[1]))


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
