"""Apache Kafka in KRaft combined mode: broker and controller in one JVM."""

from __future__ import annotations

import base64
import secrets
import shutil
import tempfile
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tenaudit._kernel.extras import MissingExtra
from tenaudit.testing.services.kafka_jars import KAFKA_VERSION, kafka_jars
from tenaudit.testing.services.port import HOST, accepts, free_port, kept_port, on_free_port
from tenaudit.testing.services.process import Program, run, wait_ready
from tenaudit.testing.services.restartable import serving
from tenaudit.testing.services.service import KafkaService, ServiceUnavailable

try:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient
except ImportError as error:
    raise MissingExtra("testing", "confluent-kafka") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tenaudit.testing.services.process import Child
    from tenaudit.testing.services.restartable import Restartable

__all__ = ["Listener", "killable_kraft", "kraft"]

_FORMAT_WITHIN = 60.0
_READY_WITHIN = 60.0
_STOP_WITHIN = 10.0
_METADATA_WITHIN = 2.0
_JVM = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_LOG4J = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %p %c %m%n%throwable
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""
# One of everything, and no pause for more consumers before a group's first assignment.
_SINGLE_NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "num.partitions": "1",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": "4194304",
}


# The quorum holds on to a broker that was killed until its session ends, and lets it in again only then; a group does
# the same with a member.
_KILLABLE = {
    **_SINGLE_NODE,
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "2000",
    "group.min.session.timeout.ms": "1000",
}


@dataclass(frozen=True, slots=True)
class Listener:
    """A further way into the broker.

    Args:
        name: in upper case; the key of its address in `KafkaService.listeners`.
        protocol: Kafka's security protocol, such as `SASL_SSL`.
        settings: of this listener alone, without its prefix.

    Example:
        >>> Listener("SASL", "SASL_SSL", {"ssl.keystore.type": "PEM"}).protocol
        'SASL_SSL'
    """

    name: str
    protocol: str
    settings: Mapping[str, str]


@contextmanager
def kraft(
    *,
    pick_port: Callable[[], int] = free_port,
    makes_topics: bool = True,
    listeners: Sequence[Listener] = (),
    format_with: Sequence[str] = (),
) -> Iterator[KafkaService]:
    """Run Apache Kafka on a free port of 127.0.0.1.

    Args:
        pick_port: chooses the port of the plain listener.
        makes_topics: whether topics are made on first use, with one partition.
        listeners: others beside it, each on a free port.
        format_with: further arguments of `kafka-storage format`.

    Raises:
        ServiceUnavailable: Java or the jars cannot be had, or the broker does not start.
    """
    settings = {**_SINGLE_NODE, "auto.create.topics.enable": str(makes_topics).lower()}
    with _serving(settings, pick_port, free_port, listeners, format_with) as server:
        yield server.service


@contextmanager
def killable_kraft(*, pick_port: Callable[[], int] = kept_port) -> Iterator[Restartable[KafkaService]]:
    """Run Apache Kafka as `restartable_kraft` promises.

    Raises:
        ServiceUnavailable: as for `kraft`.
    """
    with _serving(_KILLABLE, pick_port, kept_port) as server:
        yield server


@contextmanager
def _serving(
    settings: Mapping[str, str],
    pick_port: Callable[[], int],
    pick_controller: Callable[[], int],
    listeners: Sequence[Listener] = (),
    format_with: Sequence[str] = (),
) -> Iterator[Restartable[KafkaService]]:
    java = shutil.which("java")
    if java is None:
        raise ServiceUnavailable("Java is not installed; Apache Kafka 4 needs Java 17 or newer")
    classpath = f"{kafka_jars()}/*"

    def start(port: int) -> AbstractContextManager[Restartable[KafkaService]]:
        places = {"PLAINTEXT": port, "CONTROLLER": pick_controller()}
        places |= {listener.name: free_port() for listener in listeners}
        listening = {**settings, **_listening(places, listeners)}
        return _on_ports(java, classpath, listening, places, format_with)

    with on_free_port(start, pick=pick_port) as server:
        yield server


@contextmanager
def _on_ports(
    java: str, classpath: str, settings: Mapping[str, str], places: Mapping[str, int], format_with: Sequence[str]
) -> Iterator[Restartable[KafkaService]]:
    with tempfile.TemporaryDirectory(prefix="tenaudit-kafka-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        cluster_id = _new_cluster_id()
        properties = _write_configuration(folder, settings)

        def program(log: str, main: str, *arguments: str) -> Program:
            options = (*_JVM, f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}")
            argv = (java, *options, "-cp", classpath, main, *arguments)
            return Program(argv, folder, folder / log, stop_within=_STOP_WITHIN)

        def ready(child: Child) -> KafkaService:
            wait_ready(child, lambda: _probe(places["PLAINTEXT"], cluster_id), within=_READY_WITHIN)
            listeners = {name: f"{HOST}:{port}" for name, port in places.items() if name != "CONTROLLER"}
            return KafkaService(listeners["PLAINTEXT"], "kraft", KAFKA_VERSION, listeners=listeners)

        format_arguments = ("format", f"--cluster-id={cluster_id}", f"--config={properties}", *format_with)
        run(program("format.log", "kafka.tools.StorageTool", *format_arguments), within=_FORMAT_WITHIN)
        with serving(program("kafka.log", "kafka.Kafka", str(properties)), ready) as server:
            yield server


def _new_cluster_id() -> str:
    """A random id in Kafka's form: 16 bytes, URL-safe base64, no padding, no leading dash."""
    return "t" + base64.urlsafe_b64encode(secrets.token_bytes(16)).decode("ascii")[1:22]


def _listening(places: Mapping[str, int], listeners: Sequence[Listener]) -> dict[str, str]:
    """The settings of every listener, and of the controller's."""
    protocols = dict.fromkeys(places, "PLAINTEXT") | {listener.name: listener.protocol for listener in listeners}
    addresses = {name: f"{name}://{HOST}:{port}" for name, port in places.items()}
    return {
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "controller.quorum.voters": f"1@{HOST}:{places['CONTROLLER']}",
        "listeners": ",".join(addresses.values()),
        "advertised.listeners": ",".join(address for name, address in addresses.items() if name != "CONTROLLER"),
        **{
            f"listener.name.{listener.name.lower()}.{key}": value
            for listener in listeners
            for key, value in listener.settings.items()
        },
    }


def _write_configuration(folder: Path, settings: Mapping[str, str]) -> Path:
    (folder / "log4j2.properties").write_text(_LOG4J, encoding="utf-8")
    properties = folder / "server.properties"
    lines = [f"{key}={value}\n" for key, value in {**settings, "log.dirs": str(folder / "data")}.items()]
    properties.write_text("".join(lines), encoding="utf-8")
    return properties


def _probe(port: int, cluster_id: str) -> bool | None:
    """True once the broker on *port* answers metadata for our cluster with a live broker in it."""
    if not accepts(port):
        return None
    client = AdminClient({"bootstrap.servers": f"{HOST}:{port}", "log_level": 0})
    try:
        metadata = client.list_topics(timeout=_METADATA_WITHIN)
    except KafkaException:
        return None
    return True if str(metadata.cluster_id) == cluster_id and metadata.brokers else None
