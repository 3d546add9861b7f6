"""The metrics of `tenaudit consume` over HTTP: what they tell, when they end, and the one line when a port is taken."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from datetime import UTC, datetime
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, Gauge

from tenaudit.backends.sqlite import SqliteStore
from tenaudit.cli import main
from tenaudit.cli.consume_metrics import metrics_at
from tenaudit.errors import ConfigurationError
from tenaudit.testing.conformance import an_event

WORDS = ["consume", "--kafka", "127.0.0.1:1", "--store", "sqlite:///audit.db"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(url):
    with urlopen(url, timeout=10) as answer:
        return answer.read().decode()


@pytest.mark.parametrize(("host", "begins"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")])
def test_metrics_are_there_for_the_length_of_the_block(host, begins):
    registry = CollectorRegistry()
    Gauge("answer", "Of everything.", registry=registry).set(42)
    with metrics_at(host, 0, registry) as url:
        assert url.startswith(begins)
        assert "answer 42.0" in read(url)
    with pytest.raises(URLError):
        read(url)


def test_without_a_port_nothing_listens():
    with metrics_at("127.0.0.1", None, CollectorRegistry()) as url:
        assert url is None


def test_an_error_in_the_block_closes_the_port_too():
    with pytest.raises(RuntimeError), metrics_at("127.0.0.1", 0, CollectorRegistry()) as url:
        raise RuntimeError(url)
    with pytest.raises(URLError):
        read(url)


@pytest.mark.parametrize("host", ["no such host", "192.0.2.1", "a" * 70 + ".example"])
def test_an_address_of_another_machine_is_refused(host):
    with (
        pytest.raises(ConfigurationError, match=r"choose others with --metrics-host and --metrics-port"),
        metrics_at(host, 0, CollectorRegistry()),
    ):
        pass


def test_a_port_in_use_is_one_line_and_nothing_is_made(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main([*WORDS, "--metrics-port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said == (
        f"error: port {port} on 127.0.0.1: Address already in use; choose others with --metrics-host and "
        "--metrics-port\n"
    )
    assert not (tmp_path / "audit.db").exists()


class Reader(logging.Handler):
    """Reads the metrics of this process at its first warning, and ends it."""

    def __init__(self, capsys):
        super().__init__(logging.WARNING)
        self.capsys = capsys
        self.told = ""

    def emit(self, _record):
        if not self.told:
            url = self.capsys.readouterr().err.splitlines()[1].removeprefix("metrics at ")
            self.told = read(url)
            os.kill(os.getpid(), signal.SIGTERM)


def test_the_command_tells_where_its_metrics_are(capsys):
    reader = Reader(capsys)
    logging.getLogger("tenaudit.audit").addHandler(reader)
    try:
        assert main([*WORDS, "--metrics-port", "0"]) == 0
    finally:
        logging.getLogger("tenaudit.audit").removeHandler(reader)
    assert 'audit_ingest_failures_total{reason="source"} 1.0' in reader.told
    assert capsys.readouterr().err.splitlines()[-1].startswith("stopped: ")


class Settled(logging.Handler):
    """Ends this process once a purge has come to its end."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.purged = []

    def emit(self, record):
        if getattr(record, "action", "") == "audit_purged":
            self.purged.append(record.events)
            os.kill(os.getpid(), signal.SIGTERM)


def test_the_command_purges_when_it_is_asked_to():
    async def put():
        async with SqliteStore.open("audit.db") as store:
            await store.append(
                [an_event(0, occurred_at="2001-01-01T00:00:00Z"), an_event(1, occurred_at=datetime.now(UTC))]
            )

    asyncio.run(put())
    settled, logger = Settled(), logging.getLogger("tenaudit.audit")
    before = logger.level
    logger.addHandler(settled)
    logger.setLevel(logging.INFO)
    try:
        assert main([*WORDS, "--purge-every", "3600"]) == 0
    finally:
        logger.removeHandler(settled)
        logger.setLevel(before)
    assert settled.purged == [1]
