"""Apache Kafka with listeners that are encrypted and want to know who comes."""

from __future__ import annotations

import secrets
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tenaudit.testing.services.certificates import Authority
from tenaudit.testing.services.kafka_kraft import Listener, kraft
from tenaudit.testing.services.port import HOST, free_port
from tenaudit.testing.services.service import SecuredKafka

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["secured"]

_USER = "audit"
_MODULES = "org.apache.kafka.common.security"


@contextmanager
def secured(*, pick_port: Callable[[], int] = free_port) -> Iterator[SecuredKafka]:
    """Run Apache Kafka as `secured_kraft` promises.

    Raises:
        ServiceUnavailable: as for `kraft`.
    """
    with tempfile.TemporaryDirectory(prefix="tenaudit-kafka-tls-") as name:
        folder, password = Path(name), secrets.token_hex(16)
        authority = Authority("tenaudit test authority")
        files = {
            "ca.pem": authority.certificate,
            "broker.pem": authority.issue("broker", [HOST]),
            "client.pem": authority.issue(_USER),
        }
        for file, content in files.items():
            (folder / file).write_bytes(content)
        # PLAIN has its users in the broker's settings, SCRAM has them in the metadata that formatting begins.
        scram = f"--add-scram=SCRAM-SHA-512=[name={_USER},password={password}]"
        listeners = (_with_passwords(folder, password), _with_certificates(folder))
        with kraft(pick_port=pick_port, listeners=listeners, format_with=(scram,)) as service:
            sasl, mutual = (service.listeners[listener.name] for listener in listeners)
            yield SecuredKafka(service, sasl, mutual, _USER, password, folder / "ca.pem", folder / "client.pem")


def _with_passwords(folder: Path, password: str) -> Listener:
    settings = {
        **_tls(folder),
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        "plain.sasl.jaas.config": f'{_MODULES}.plain.PlainLoginModule required user_{_USER}="{password}";',
        "scram-sha-512.sasl.jaas.config": f"{_MODULES}.scram.ScramLoginModule required;",
    }
    return Listener("SASL", "SASL_SSL", settings)


def _with_certificates(folder: Path) -> Listener:
    trust = {
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(folder / "ca.pem"),
        "ssl.client.auth": "required",
    }
    return Listener("MUTUAL", "SSL", {**_tls(folder), **trust})


def _tls(folder: Path) -> dict[str, str]:
    return {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(folder / "broker.pem")}
