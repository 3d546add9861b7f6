"""`tenaudit consume`: from a Kafka topic into a store, until it is told to stop."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypedDict, Unpack

import click
from prometheus_client import CollectorRegistry

from tenaudit._kernel.servers import servers_of
from tenaudit.audit.consumer import Consumer
from tenaudit.audit.consumer.gaps import GapWatch
from tenaudit.audit.retention import RetentionJob
from tenaudit.backends.kafka import KafkaSource
from tenaudit.cli.audit_dlq_file import dead_letters_at, dead_letters_option
from tenaudit.cli.consume_bounds import bounds_options
from tenaudit.cli.consume_metrics import metrics_at
from tenaudit.cli.consume_notes import Notes
from tenaudit.cli.consume_signals import told_to_stop
from tenaudit.cli.consume_until import consume_until, told_of
from tenaudit.cli.kafka_security import kafka_security_options
from tenaudit.cli.printable import printable
from tenaudit.cli.redaction_options import write_redaction_options
from tenaudit.cli.seconds_range import SecondsRange
from tenaudit.cli.store_url import open_store, store_option

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tenaudit.audit.consumer import DeadLetterBounds
    from tenaudit.audit.retention import RetentionStore
    from tenaudit.cli.kafka_security import SecurityOptions
    from tenaudit.cli.redaction_options import RedactionOptions

__all__ = ["consume"]


class _Options(TypedDict):
    servers: str
    topic: str
    group: str
    store_url: str
    dead_letters_url: str | None
    session_timeout: float
    security: SecurityOptions
    bounds: DeadLetterBounds
    redaction: RedactionOptions
    metrics_port: int | None
    metrics_host: str
    purge_every: float | None


@click.command(
    epilog="Exit codes: 0 stopped by SIGTERM or SIGINT; 2 bad usage, a store that cannot be used at the start, or "
    "failing for ten minutes without a break.",
)
@click.option(
    "--kafka",
    "servers",
    required=True,
    envvar="TENAUDIT_KAFKA",
    show_envvar=True,
    metavar="HOST:PORT[,...]",
    help="Brokers to ask first.",
)
@click.option("--topic", default="audit.events", show_default=True, help="What to read.")
@click.option(
    "--group", default="tenaudit", show_default=True, help="Consumers of one group share the topic's partitions."
)
@store_option
@dead_letters_option
@click.option(
    "--session-timeout",
    type=SecondsRange(1, 60),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="How long the others wait for what a killed consumer held.",
)
@kafka_security_options
@bounds_options
@write_redaction_options
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65_535),
    help="Port of GET /metrics, for Prometheus; 0 picks a free one. None by default.",
)
@click.option("--metrics-host", default="127.0.0.1", show_default=True, help="Address of --metrics-port.")
@click.option(
    "--purge-every",
    type=SecondsRange(60, 604_800),
    metavar="SECONDS",
    help="Remove what has had its time at the start and this often, as tenaudit audit purge does. Never by default.",
)
def consume(**options: Unpack[_Options]) -> None:
    """Store the events of a Kafka topic, each once; a SQLite store is made when it is not there.

    What holds no event, or one that the store refuses, goes to the dead letters: see tenaudit audit dlq. A broker or a
    store that goes away is tried again, and when the dead letters are full it waits for room. What is not stored yet
    when it stops comes again at the next start. With --redact-policy nothing that it names is stored; a record that
    holds no event goes to the dead letters as it came.
    """
    asyncio.run(_consume(options))


async def _consume(options: _Options) -> None:
    topic, group, store_url = options["topic"], options["group"], options["store_url"]
    registry = CollectorRegistry()
    redaction = options["redaction"].for_writer(registry)
    personal = options["redaction"].personal_fields()
    source = KafkaSource(
        servers_of(options["servers"], "--kafka must be HOST:PORT"),
        topic,
        group=group,
        session_timeout=options["session_timeout"],
        security=options["security"].security(),
    )
    dead_letters = dead_letters_at(store_url, options["dead_letters_url"], must_exist=False, bounds=options["bounds"])
    with metrics_at(options["metrics_host"], options["metrics_port"], registry) as metrics_url:
        # The store comes first: a file that dead letters have made cannot become a store.
        async with open_store(store_url, must_exist=False, personal=personal) as store, dead_letters:
            consumer = Consumer(source, store, dead_letters, registry=registry, redaction=redaction)
            with Notes(), told_to_stop() as told:
                _say(f"consuming {topic} as {group}; stop with Ctrl-C or SIGTERM")
                if metrics_url:
                    _say(f"metrics at {metrics_url}")
                try:
                    async with GapWatch(store, registry=registry), _purging(store, registry, options["purge_every"]):
                        finished = await consume_until(consumer, told)
                finally:
                    await source.close()
            _say(f"stopped{'' if finished else '; what was in hand comes again'}: {told_of(registry)}")


def _purging(
    store: RetentionStore, registry: CollectorRegistry, every: float | None
) -> AbstractAsyncContextManager[object]:
    return nullcontext() if every is None else RetentionJob(store, registry=registry, every=every)


def _say(line: str) -> None:
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()
