"""`tenaudit relay`: from an outbox to a sink, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import TYPE_CHECKING

import click

from tenaudit.audit.outbox import OutboxRelay
from tenaudit.cli.output import write_line
from tenaudit.cli.printable import printable
from tenaudit.cli.relay_urls import open_outbox, open_sink

if TYPE_CHECKING:
    from tenaudit.audit import Sink
    from tenaudit.audit.outbox import OutboxSource

__all__ = ["relay"]

_WRITE_TIMEOUT = 5.0


@click.command(
    epilog="Exit codes: 0 stopped by SIGTERM or SIGINT, or with --once nothing is left to do; 2 bad usage, an outbox "
    "that cannot be read at the start, or with --once a sink that takes nothing now.",
)
@click.option(
    "--outbox",
    "outbox_url",
    required=True,
    envvar="TENAUDIT_OUTBOX",
    show_envvar=True,
    metavar="URL",
    help="sqlite:///FILE, or postgresql://... (rather in the variable: others can read a command line).",
)
@click.option(
    "--sink",
    "sink_url",
    required=True,
    envvar="TENAUDIT_SINK",
    show_envvar=True,
    metavar="URL",
    help="jsonl:///FILE, or sqlite:///FILE for a store.",
)
@click.option("--create", is_flag=True, help="Make the tables of the outbox when they are not there.")
@click.option("--once", is_flag=True, help="Relay what is there and end.")
@click.option(
    "--batch-size", type=click.IntRange(1, 10_000), default=500, show_default=True, help="Most events of one write."
)
@click.option(
    "--lease",
    type=click.FloatRange(1, 3600),
    default=30,
    show_default=True,
    help="Seconds that others wait for what a killed relay held.",
)
def relay(*, outbox_url: str, sink_url: str, create: bool, once: bool, batch_size: int, lease: float) -> None:
    """Write the events of an outbox to a sink, at least once and in order per tenant.

    Several relays may run at one outbox. An outbox or a sink that goes away later is tried again.
    """
    asyncio.run(_relay(outbox_url, sink_url, create=create, once=once, batch_size=batch_size, lease=lease))


async def _relay(outbox_url: str, sink_url: str, *, create: bool, once: bool, batch_size: int, lease: float) -> None:
    async with open_outbox(outbox_url, create=create, lease=lease) as source, open_sink(sink_url) as sink:
        relaying = _made(source, sink, batch_size, lease)
        if once:
            await relaying.drain()
        else:
            await _until_told(relaying)
        write_line(f"relayed {relaying.settled}")


def _made(source: OutboxSource, sink: Sink, batch_size: int, lease: float) -> OutboxRelay:
    return OutboxRelay(source, sink, batch_size=batch_size, write_timeout=min(_WRITE_TIMEOUT, lease / 2))


async def _until_told(relaying: OutboxRelay) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    notes = _Notes()
    log = logging.getLogger("tenaudit.audit")
    log.addHandler(notes)
    try:
        async with relaying:
            write_line("relaying; stop with Ctrl-C or SIGTERM")
            sys.stdout.flush()
            await told.wait()
    finally:
        log.removeHandler(notes)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


class _Notes(logging.Handler):
    """Says on standard error what goes wrong while the relay goes on."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        about = next((str(vars(record)[name]) for name in ("error", "reason") if name in vars(record)), "")
        sys.stderr.write(printable(f"note: {record.getMessage()}: {about}".rstrip(": ")) + "\n")
