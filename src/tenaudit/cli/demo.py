"""`tenaudit demo`: the whole path on embedded parts, over real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from tenaudit.demo.outcome import run_demo
from tenaudit.demo.platform import LIMIT, TENANTS, running
from tenaudit.demo.report import print_outcome

if TYPE_CHECKING:
    from tenaudit.demo.platform import Platform

__all__ = ["demo"]

_SEAL_SECONDS = 10.0


@click.command()
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object and nothing else; its `denied` counts answers 401 and 403.",
)
@click.option(
    "--serve",
    is_flag=True,
    help="Keep the platform running without traffic and print URLs and curl lines; stop with Ctrl-C.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the gateway on 127.0.0.1; 0 is free.")
def demo(*, as_json: bool, serve: bool, port: int) -> None:
    """Start a gateway, two services and the audit service, drive traffic through them and judge the result.

    Everything is embedded: SQLite, in-memory limits, HTTP on free loopback ports. Nothing is left behind.

    \b
    Exit codes:
      0  every expectation held
      1  an expectation did not hold
      2  bad usage, a port in use, or a missing extra
    """  # noqa: D301 - click wants the backspace itself, before a paragraph that it must not rewrap
    if serve and as_json:
        raise click.UsageError("--json and --serve do not go together; leave one out")
    if serve:
        asyncio.run(_serve(port))
        return
    outcome = asyncio.run(run_demo(port=port))
    if as_json:
        click.echo(json.dumps(outcome.to_json()))
        for problem in outcome.problems:
            click.echo(problem, err=True)
    else:
        print_outcome(outcome, Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160))
    if outcome.problems:
        raise SystemExit(1)


async def _serve(port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="tenaudit-demo-") as folder:
        async with running(Path(folder), port=port) as platform:
            click.echo(_instructions(platform, Path(folder)))
            while not stop.is_set():
                try:
                    await asyncio.wait_for(stop.wait(), _SEAL_SECONDS)
                except TimeoutError:
                    await platform.store.seal()
            click.echo("stopping")


def _instructions(platform: Platform, folder: Path) -> str:
    gateway = platform.urls["gateway"]
    cashier = platform.token("acme", "carol", "Cashier")
    admin = platform.token("acme", "ada", "Admin")
    lines = [
        *(f"{name:8} {url}" for name, url in platform.urls.items()),
        f"store    sqlite:///{folder}/audit.db",
        f"tenants  {', '.join(f'{name} {tenant}' for name, tenant in TENANTS.items())}, each limited to {LIMIT}",
        "",
        "# a cashier creates an order",
        f'curl -i -X POST {gateway}/orders -H \'Authorization: Bearer {cashier}\' -d \'{{"sku":"tea","quantity":2}}\'',
        "# an API key of another tenant does not see it",
        f"curl -i {gateway}/orders/o-1 -H 'X-API-Key: {platform.api_key}'",
        "# an admin reads the trail",
        f"curl -s {gateway}/audit/events -H 'Authorization: Bearer {admin}'",
        "# metrics of the order service",
        f"curl -s {platform.urls['order']}/internal/metrics",
        "# verify the trail, from another terminal",
        f"{Path(sys.executable).with_name('tenaudit')} audit verify --store sqlite:///{folder}/audit.db",
    ]
    return "\n".join(lines)
