"""From a sink through a broker that wants TLS and a name into a store; and what is said to those that it turns away."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import ssl
import subprocess
import sys
import threading
from contextlib import asynccontextmanager, closing, contextmanager

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditQuery, SinkUnavailable
from tenaudit.audit.consumer import Consumer, ConsumerOptions, SourceUnavailable
from tenaudit.backends.kafka import KafkaSecurity, KafkaSink, KafkaSource
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.backends.sqlite.outbox import SqliteOutbox, create_outbox
from tenaudit.cli import main
from tenaudit.testing.conformance import an_event
from tenaudit.testing.services import secured_kraft
from tests.faults.servers import or_skipped
from tests.unit.audit.consumer_parts import MemoryDeadLetters
from tests.unit.backends.kafka_parts import alone, eventually, new_topic, records_on, run, timed
from tests.unit.backends.outbox_parts import context_of

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]

WRONG = "wr0ng-s3cr3t"
EVENTS = [an_event(n) for n in range(30)]
DEADLINE = 4.0


@pytest.fixture(scope="module")
def kafka():
    with or_skipped(secured_kraft()) as server:
        yield server


@pytest.fixture(scope="module")
def stranger(kafka, tmp_path_factory):
    """Files of an authority that has nothing to do with the broker's: its certificate, and one that it signed."""
    from tenaudit.testing.services.certificates import Authority

    folder, authority = tmp_path_factory.mktemp("stranger"), Authority("tenaudit test authority")
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "client.pem").write_bytes(authority.issue("audit"))
    return folder


@pytest.fixture(autouse=True)
def secrets(kafka, caplog):
    """Whatever is logged, on whichever level: no password is in it, and no traceback."""
    caplog.set_level(logging.DEBUG)
    yield
    records = caplog.get_records("call")
    assert not [record for record in records if record.exc_info]
    told = "\n".join(f"{record.getMessage()} {vars(record)}" for record in records)
    assert kafka.password not in told
    assert WRONG not in told


def tls(authority, client=None):
    context = ssl.create_default_context(cafile=authority)
    if client is not None:
        context.load_cert_chain(client)
    return context


def by_password(kafka, mechanism="SCRAM-SHA-512", password=None, authority=None):
    context = tls(authority or kafka.authority)
    return KafkaSecurity("SASL_SSL", context, mechanism, kafka.user, password or kafka.password)


def sink_on(servers, topic, security):
    return KafkaSink(servers, topic, security=security, delivery_timeout=DEADLINE, registry=CollectorRegistry())


async def written(servers, topic, security):
    sink = sink_on(servers, topic, security)
    await sink.write(EVENTS)
    await sink.close()


async def stored(servers, topic, security, path):
    """The events that a consumer has brought from the topic into a store."""
    async with SqliteStore.open(path) as store:
        source, registry = KafkaSource(servers, topic, group=topic, security=security), CollectorRegistry()
        options = ConsumerOptions(poll=0.2, longest_pause=0.2)
        consumer = Consumer(source, store, MemoryDeadLetters(), options=options, registry=registry)
        running = asyncio.ensure_future(consumer.run())
        told = {"outcome": "stored"}
        await eventually(lambda: registry.get_sample_value("audit_events_ingested_total", told) == len(EVENTS))
        assert await consumer.stop()
        await running
        await source.close()
        return (await store.search(AuditQuery(EVENTS[0].tenant_id, order="asc", limit=500))).events


@pytest.mark.parametrize("way", ["PLAIN", "SCRAM-SHA-512", "certificate"])
def test_events_come_out_of_the_store_as_they_went_into_the_sink(kafka, way, tmp_path):
    if way == "certificate":
        servers, security = kafka.mutual_servers, KafkaSecurity("SSL", tls(kafka.authority, kafka.client))
    else:
        servers, security = kafka.sasl_servers, by_password(kafka, way)

    async def both():
        topic = await new_topic(kafka.service)
        await written(servers, topic, security)
        return await stored(servers, topic, security, tmp_path / "audit.db")

    assert list(run(both())) == EVENTS


AUTHENTICATION = "authentication failed; check the user and the password"
# A broker that has closed already when the client writes on is not heard to the end.
CERTIFICATE = "does not accept the client's certificate|closed the connection; check .* whom it lets in"
IN_CLEAR = "the port is one for TLS, and the client sends in clear"
TURNED_AWAY = {
    "wrong password, PLAIN": (lambda k, _: (k.sasl_servers, by_password(k, "PLAIN", WRONG)), AUTHENTICATION),
    "wrong password, SCRAM": (lambda k, _: (k.sasl_servers, by_password(k, password=WRONG)), AUTHENTICATION),
    "wrong password, and a broker that is away": (
        lambda k, _: (f"127.0.0.1:1,{k.sasl_servers}", by_password(k, password=WRONG)),
        AUTHENTICATION,
    ),
    "mechanism that the broker does not take": (
        lambda k, _: (k.sasl_servers, by_password(k, "SCRAM-SHA-256")),
        "the broker does not take this SASL mechanism",
    ),
    "unknown authority": (
        lambda k, stranger: (k.sasl_servers, by_password(k, authority=stranger / "ca.pem")),
        "the broker's certificate is not trusted: ",
    ),
    "another host name": (
        lambda k, _: (f"localhost:{k.sasl_servers.rpartition(':')[2]}", by_password(k)),
        "is not trusted: Hostname mismatch, certificate is not valid for 'localhost'$",
    ),
    "in clear": (lambda k, _: (k.sasl_servers, KafkaSecurity()), IN_CLEAR),
    "in clear, with a password": (
        lambda k, _: (k.sasl_servers, KafkaSecurity("SASL_PLAINTEXT", None, "SCRAM-SHA-512", k.user, k.password)),
        IN_CLEAR,
    ),
    "nobody": (
        lambda k, _: (k.sasl_servers, KafkaSecurity("SSL", tls(k.authority))),
        "closed the connection; check .* whom it lets in",
    ),
    "no certificate": (lambda k, _: (k.mutual_servers, KafkaSecurity("SSL", tls(k.authority))), CERTIFICATE),
    "certificate of another authority": (
        lambda k, stranger: (k.mutual_servers, KafkaSecurity("SSL", tls(k.authority, stranger / "client.pem"))),
        CERTIFICATE,
    ),
    "password where none is asked": (
        lambda k, _: (
            k.mutual_servers,
            KafkaSecurity("SASL_SSL", tls(k.authority, k.client), "PLAIN", k.user, k.password),
        ),
        "the port is one without SASL",
    ),
    "TLS where all is in clear": (
        lambda k, _: (k.service.bootstrap_servers, KafkaSecurity("SSL", tls(k.authority))),
        "closed the connection; check that its port|TLS failed .*; check that the port is one for TLS",
    ),
}


@pytest.mark.parametrize(("client", "told"), TURNED_AWAY.values(), ids=TURNED_AWAY)
def test_who_is_turned_away_is_told_why_in_time(kafka, stranger, client, told):
    servers, security = client(kafka, stranger)

    async def both():
        sink = sink_on(servers, "audit.events", security)
        source = KafkaSource(servers, security=security, start_timeout=DEADLINE)
        answers = [await timed(sink.write(EVENTS)), await timed(source.fetch(10, 2**20, 0.2))]
        await sink.close()
        await source.close()
        await alone()
        return answers

    for (seconds, error), kind in zip(run(both()), (SinkUnavailable, SourceUnavailable), strict=True):
        assert seconds < DEADLINE + 1
        with pytest.raises(kind, match=told):
            raise error
        assert str(error) == f"Kafka topic audit.events: {error.reason}"
        shown = f"{error} {error!r} {error.__cause__!r} {security!r}"
        assert kafka.password not in shown
        assert WRONG not in shown


@asynccontextmanager
async def silent():
    """The address of a broker that takes every connection and never says a word."""

    async def say_nothing(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def test_a_broker_that_refuses_is_heard_beside_one_that_is_silent(kafka):
    async def refused():
        async with silent() as address:
            sink = sink_on(f"{address},{kafka.sasl_servers}", "audit.events", by_password(kafka, password=WRONG))
            answer = await timed(sink.write(EVENTS))
            await sink.close()
            await alone()
        return answer

    seconds, error = run(refused())
    assert seconds < DEADLINE + 1
    with pytest.raises(SinkUnavailable, match="authentication failed"):
        raise error


@contextmanager
def command(*words):
    """A command as a process of its own, which a watchdog ends when a test would wait for ever."""
    argv = [sys.executable, "-m", "tenaudit.cli", *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def ended(process):
    process.terminate()
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def until_stored(count, process):
    found = 0
    while found < count:
        assert process.poll() is None
        with closing(sqlite3.connect("audit.db")) as connection:
            found = connection.execute("SELECT count(*) FROM events").fetchone()[0]


def password_options(kafka, tmp_path, password):
    (tmp_path / "password").write_text(f"{password}\n")
    user = ["--sasl-user", kafka.user, "--sasl-password-file", "password"]
    return ["--tls", "--tls-ca", str(kafka.authority), "--sasl", "SCRAM-SHA-512", *user]


@pytest.fixture
def topic(kafka, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("TENAUDIT_DEAD_LETTERS", "TENAUDIT_KAFKA_USER", "TENAUDIT_KAFKA_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return run(new_topic(kafka.service))


@pytest.mark.parametrize("way", ["password", "certificate"])
def test_consume_stores_what_comes_over_the_secured_listener(kafka, topic, tmp_path, way):
    if way == "password":
        servers, words = kafka.sasl_servers, password_options(kafka, tmp_path, kafka.password)
    else:
        shown = ["--tls-ca", str(kafka.authority), "--tls-cert", str(kafka.client)]
        servers, words = kafka.mutual_servers, ["--tls", *shown]
    run(written(kafka.service.bootstrap_servers, topic, None))
    argv = ["--kafka", servers, "--topic", topic, "--store", "sqlite:///audit.db", *words]
    with command("consume", *argv) as process:
        assert process.stderr.readline() == f"consuming {topic} as tenaudit; stop with Ctrl-C or SIGTERM\n"
        until_stored(len(EVENTS), process)
        assert ended(process) == (
            0,
            "",
            "stopped: stored 30, duplicates 0, conflicts 0, expired 0, dead letters 0\n",
        )


def test_consume_says_that_a_password_is_wrong_and_goes_on(kafka, topic, tmp_path):
    words = password_options(kafka, tmp_path, WRONG)
    argv = ["--kafka", kafka.sasl_servers, "--topic", topic, "--store", "sqlite:///audit.db", *words]
    with command("consume", *argv) as process:
        assert process.stderr.readline() == f"consuming {topic} as tenaudit; stop with Ctrl-C or SIGTERM\n"
        assert process.stderr.readline() == (
            "note: the audit consumer waits for what fails: source, SourceUnavailable, "
            "authentication failed; check the user and the password\n"
        )
        assert ended(process) == (
            0,
            "",
            "stopped: stored 0, duplicates 0, conflicts 0, expired 0, dead letters 0\n",
        )


@pytest.fixture
def outbox(topic):
    box = SqliteOutbox("orders", registry=CollectorRegistry())
    with closing(sqlite3.connect("app.db", isolation_level=None)) as connection:
        create_outbox(connection)
        connection.execute("BEGIN")
        for n in range(3):
            box.emit_nowait(connection, "order.created", payload={"n": n}, context=context_of(1))
        connection.execute("COMMIT")
    return ["--outbox", "sqlite:///app.db"]


def test_relay_brings_an_outbox_over_the_secured_listener(kafka, topic, outbox, tmp_path, capsys):
    argv = ["relay", "--once", *outbox, "--sink", f"kafka://{kafka.sasl_servers}/{topic}"]
    assert main([*argv, *password_options(kafka, tmp_path, WRONG)]) == 2
    assert capsys.readouterr() == (
        "",
        f"error: Kafka topic {topic}: authentication failed; check the user and the password\n",
    )
    assert main([*argv, *password_options(kafka, tmp_path, kafka.password)]) == 0
    assert capsys.readouterr() == ("relayed 3\n", "")
    assert len(run(records_on(kafka.service, topic))) == 3


def test_relay_without_end_says_that_a_password_is_wrong(kafka, topic, outbox, tmp_path):
    argv = ["relay", *outbox, "--sink", f"kafka://{kafka.sasl_servers}/{topic}"]
    with command(*argv, *password_options(kafka, tmp_path, WRONG)) as process:
        assert process.stdout.readline() == "relaying; stop with Ctrl-C or SIGTERM\n"
        assert process.stderr.readline() == (
            "note: the relay of the outbox fails and tries again: SinkUnavailable, "
            "authentication failed; check the user and the password\n"
        )
        assert ended(process)[:2] == (0, "relayed 0\n")
