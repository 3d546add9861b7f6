"""`tenaudit serve`: the audit trail of a store over HTTP, until it is told to stop."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING

import click
from prometheus_client import CollectorRegistry

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.cursor import MIN_KEY_BYTES
from tenaudit.cli.consume_notes import Notes
from tenaudit.cli.consume_signals import told_to_stop
from tenaudit.cli.printable import printable
from tenaudit.cli.redaction_options import read_redaction_options
from tenaudit.cli.serve_app import query_service
from tenaudit.cli.serve_http import is_loopback, listen, serve_until, url_of
from tenaudit.cli.store_url import open_store, store_option

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.applications import Starlette

    from tenaudit.audit import Store
    from tenaudit.cli.redaction_options import RedactionOptions

__all__ = ["serve"]

_MOST_KEY_BYTES = 64 * 1024
_TRUST = 'trust="mesh": who reaches this port is believed to have the tenant and the roles that its headers say'


@click.command(
    epilog="Exit codes: 0 stopped by SIGTERM or SIGINT; 2 bad usage, a port in use, or a store that cannot be used at "
    "the start.",
)
@store_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8000, show_default=True, help="Port; 0 picks a free one."
)
@click.option(
    "--trust",
    type=click.Choice(["mesh"]),
    help="Say that only a gateway, which sets the identity headers, reaches this port; needed for every --host but "
    "loopback.",
)
@click.option(
    "--cursor-key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Secrets that cursors are signed with, a line each of at least 16 bytes; the first signs, all verify. Without "
    "one, cursors end with the process.",
)
@read_redaction_options
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file of the matrix that decides; read again when it changes. By default the built-in one.",
)
def serve(
    *,
    store_url: str,
    host: str,
    port: int,
    trust: str | None,
    cursor_key_file: Path | None,
    redaction: RedactionOptions,
    policy: Path | None,
) -> None:
    """Answer GET /audit/events, /audit/export, /audit/tail, /audit/stats and /internal/health, /internal/metrics.

    Who asks, and with which roles, is what the identity headers say. Unredacted reads and denials are recorded in the
    store. What --redact and --redact-policy name is hidden from readers without audit_view_unredacted; the variables
    AUDIT_REDACT_FIELDS and AUDIT_REDACT_MODE add to it.
    """
    if trust is None and not is_loopback(host):
        raise ConfigurationError(
            f"--host {host} lets others reach the port, and its identity headers are believed; put a gateway before it "
            "and add --trust mesh"
        )
    keys = (token_bytes(32),) if cursor_key_file is None else _keys(cursor_key_file)
    registry = CollectorRegistry()
    redactor = redaction.for_server(registry)
    app = partial(query_service, redactor=redactor, cursor_keys=keys, policy=policy, registry=registry)
    asyncio.run(_serve(store_url, host, port, app))


async def _serve(
    store_url: str, host: str, port: int, app_of: Callable[[Store], AbstractAsyncContextManager[Starlette]]
) -> None:
    with closing(listen(host, port)) as bound, Notes(), told_to_stop() as told:
        url = url_of(bound)

        def ready() -> None:
            _say(f"serving {url}/audit/events; stop with Ctrl-C or SIGTERM")
            _say(_TRUST)

        async with open_store(store_url, must_exist=True) as store, app_of(store) as app:
            await serve_until(app, bound, told, ready)
    _say("stopped")


def _keys(path: Path) -> tuple[bytes, ...]:
    with path.open("rb") as file:
        text = file.read(_MOST_KEY_BYTES + 1)
    keys = {number: line.strip() for number, line in enumerate(text.splitlines(), 1) if line.strip()}
    if not keys or len(text) > _MOST_KEY_BYTES:
        raise ConfigurationError(f"--cursor-key-file: {path} must hold secrets, one a line, and at most 64 KiB")
    for number, key in keys.items():
        if len(key) < MIN_KEY_BYTES:
            raise ConfigurationError(
                f"--cursor-key-file: line {number} of {path} has less than {MIN_KEY_BYTES} bytes; write a longer secret"
            )
    return tuple(keys.values())


def _say(line: str) -> None:
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()
