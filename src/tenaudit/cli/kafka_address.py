"""The brokers that an option names."""

from __future__ import annotations

import re

from tenaudit._kernel.error import ConfigurationError

__all__ = ["servers_of"]

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}\Z")


def servers_of(given: str, form: str) -> list[str]:
    """Return the servers; aiokafka would only ever try again with what is no address.

    Args:
        given: `HOST:PORT`, several by commas.
        form: what the message says that it must be, with the option's name.

    Raises:
        ConfigurationError: one of them is no address; with a user in it, it is not repeated.

    Example:
        >>> servers_of("b1:9092, [::1]:9093", "--kafka must be HOST:PORT")
        ['b1:9092', '[::1]:9093']
    """
    if "@" in given:
        # What stands before it may be a password.
        raise ConfigurationError(f"{form}, several by commas, without a user")
    servers = [server.strip() for server in given.split(",")]
    for server in servers:
        if _SERVER.match(server) is None:
            raise ConfigurationError(f"{form}, several by commas, not {server!r}")
    return servers
