"""The metrics of a command over HTTP, for as long as it runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import start_http_server

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry

__all__ = ["metrics_at"]

_STOP_SECONDS = 5.0


@contextmanager
def metrics_at(host: str, port: int | None, registry: CollectorRegistry) -> Iterator[str | None]:
    """Answer GET /metrics for the length of a block, and give out the URL; without a port, do nothing.

    Args:
        host: the address to listen on.
        port: the port, 0 for a free one, or None.
        registry: what is shown.

    Raises:
        ConfigurationError: the port is taken or not allowed, or the address is not this machine's.
    """
    if port is None:
        yield None
        return
    try:
        server, thread = start_http_server(port, host, registry)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "is no name of a host"
        said = f"port {port} on {host}: {why}; choose others with --metrics-host and --metrics-port"
        raise ConfigurationError(said) from error
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_STOP_SECONDS)
