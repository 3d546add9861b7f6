"""`tenaudit consume`: from a Kafka topic into a store, until it is told to stop."""

from __future__ import annotations

import asyncio
import re
import sys

import click
from prometheus_client import CollectorRegistry

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.consumer import Consumer
from tenaudit.backends.kafka import KafkaSource
from tenaudit.cli.audit_dlq_file import dead_letters_at, dead_letters_option
from tenaudit.cli.consume_notes import Notes
from tenaudit.cli.consume_signals import told_to_stop
from tenaudit.cli.consume_until import consume_until, told_of
from tenaudit.cli.printable import printable
from tenaudit.cli.store_url import open_store, store_option

__all__ = ["consume"]

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}\Z")


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
def consume(*, servers: str, topic: str, group: str, store_url: str, dead_letters_url: str | None) -> None:
    """Store the events of a Kafka topic, each once; a SQLite store is made when it is not there.

    What holds no event, or one that the store refuses, goes to the dead letters: see tenaudit audit dlq. A broker or a
    store that goes away is tried again. What is not stored yet when it stops comes again at the next start.
    """
    asyncio.run(_consume(servers, topic, group, store_url, dead_letters_url))


async def _consume(servers: str, topic: str, group: str, store_url: str, dead_letters_url: str | None) -> None:
    source = KafkaSource(_checked(servers), topic, group=group)
    dead_letters = dead_letters_at(store_url, dead_letters_url, must_exist=False)
    registry = CollectorRegistry()
    # The store comes first: a file that dead letters have made cannot become a store.
    async with open_store(store_url, must_exist=False) as store, dead_letters:
        consumer = Consumer(source, store, dead_letters, registry=registry)
        with Notes(), told_to_stop() as told:
            _say(f"consuming {topic} as {group}; stop with Ctrl-C or SIGTERM")
            try:
                finished = await consume_until(consumer, told)
            finally:
                await source.close()
        _say(f"stopped{'' if finished else '; what was in hand comes again'}: {told_of(registry)}")


def _checked(servers: str) -> list[str]:
    """Return the servers; aiokafka would only ever try again with what is no address."""
    named = [server.strip() for server in servers.split(",")]
    for server in named:
        if _SERVER.match(server) is None:
            raise ConfigurationError(f"--kafka must be HOST:PORT, several by commas, not {server!r}")
    return named


def _say(line: str) -> None:
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()
