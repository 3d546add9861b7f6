"""`tenaudit relay`: from an outbox to a sink, until it is told to stop."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, TypedDict, Unpack

import click
from prometheus_client import CollectorRegistry

from tenaudit.audit.outbox import OutboxRelay
from tenaudit.cli.consume_notes import Notes
from tenaudit.cli.consume_signals import told_to_stop
from tenaudit.cli.kafka_security import kafka_security_options
from tenaudit.cli.output import write_line
from tenaudit.cli.redaction_options import write_redaction_options
from tenaudit.cli.relay_urls import open_outbox, open_sink

if TYPE_CHECKING:
    from tenaudit.cli.kafka_security import SecurityOptions
    from tenaudit.cli.redaction_options import RedactionOptions

__all__ = ["relay"]

_WRITE_TIMEOUT = 5.0


class _Options(TypedDict):
    outbox_url: str
    sink_url: str
    create: bool
    once: bool
    batch_size: int
    lease: float
    security: SecurityOptions
    redaction: RedactionOptions


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
    help="jsonl:///FILE, sqlite:///FILE for a store, or kafka://HOST:PORT[,...]/TOPIC.",
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
@kafka_security_options
@write_redaction_options
def relay(**options: Unpack[_Options]) -> None:
    """Write the events of an outbox to a sink, at least once and in order per tenant.

    Several relays may run at one outbox. An outbox or a sink that goes away later is tried again.
    """
    asyncio.run(_relay(options))


async def _relay(options: _Options) -> None:
    lease, redaction = options["lease"], options["redaction"].for_writer(CollectorRegistry())
    within, personal = min(_WRITE_TIMEOUT, lease / 2), options["redaction"].personal_fields()
    async with (
        open_outbox(options["outbox_url"], create=options["create"], lease=lease) as source,
        open_sink(options["sink_url"], write_timeout=within, security=options["security"], personal=personal) as sink,
    ):
        relaying = OutboxRelay(
            source, sink, batch_size=options["batch_size"], write_timeout=within, redaction=redaction
        )
        with Notes():
            await (relaying.drain() if options["once"] else _until_told(relaying))
        write_line(f"relayed {relaying.settled}")


async def _until_told(relaying: OutboxRelay) -> None:
    with told_to_stop() as told:
        async with relaying:
            write_line("relaying; stop with Ctrl-C or SIGTERM")
            sys.stdout.flush()
            await told.wait()
