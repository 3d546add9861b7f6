"""How to reach a cluster, and who to be there."""

from __future__ import annotations

import logging
import re
import ssl  # noqa: TC003 - the type of a field, which a dataclass shows
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from tenaudit._kernel.error import ConfigurationError

__all__ = ["KafkaSecurity", "checked_topic"]

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
# What each mechanism needs to know.
_NEEDS = {
    "PLAIN": ("username", "password"),
    "SCRAM-SHA-256": ("username", "password"),
    "SCRAM-SHA-512": ("username", "password"),
    "OAUTHBEARER": ("token_provider",),
    "GSSAPI": (),
}
# Kafka's own rule for the names of topics.
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """Encryption and identity of a connection.

    Args:
        protocol: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
        ssl_context: what an `SSL` protocol needs.
        sasl_mechanism: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`, `GSSAPI`, which needs the library gssapi, or
            `OAUTHBEARER`.
        username: of `PLAIN` and `SCRAM`.
        password: likewise; kept out of the repr.
        token_provider: aiokafka's `AbstractTokenProvider`, for `OAUTHBEARER`.

    Raises:
        ConfigurationError: an unknown protocol or mechanism, or one without what it needs.

    Example:
        >>> KafkaSecurity("SASL_PLAINTEXT", sasl_mechanism="PLAIN", username="audit", password="hidden")
        KafkaSecurity(protocol='SASL_PLAINTEXT', sasl_mechanism='PLAIN', username='audit')
    """

    protocol: str = "PLAINTEXT"
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    sasl_mechanism: str = "PLAIN"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token_provider: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.protocol not in _PROTOCOLS:
            raise ConfigurationError(f"protocol must be one of {', '.join(_PROTOCOLS)}, not {self.protocol!r}")
        if self.protocol.endswith("SSL") and self.ssl_context is None:
            raise ConfigurationError(f"protocol {self.protocol} needs an ssl_context")
        if self.protocol.startswith("SASL"):
            self._check_identity()
            # On DEBUG aiokafka logs what it sends, and PLAIN sends the password.
            logging.getLogger("aiokafka.conn").addFilter(_tells_no_secret)

    def _check_identity(self) -> None:
        mechanism = self.sasl_mechanism
        if mechanism not in _NEEDS:
            raise ConfigurationError(f"sasl_mechanism must be one of {', '.join(_NEEDS)}, not {mechanism!r}")
        for name in _NEEDS[mechanism]:
            if not getattr(self, name):
                raise ConfigurationError(f"sasl_mechanism {mechanism} needs a {name}")
        if mechanism == "GSSAPI" and find_spec("gssapi") is None:
            raise ConfigurationError("sasl_mechanism GSSAPI needs gssapi: pip install gssapi")

    def options(self) -> dict[str, Any]:
        """Return aiokafka's names for these."""
        return {
            "security_protocol": self.protocol,
            "ssl_context": self.ssl_context,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
            "sasl_oauth_token_provider": self.token_provider,
        }


def _tells_no_secret(record: logging.LogRecord) -> bool:
    return not any(type(part).__name__.startswith("SaslAuthenticate") for part in record.args or ())


def checked_topic(topic: str) -> str:
    """Return *topic*.

    Raises:
        ConfigurationError: no topic can have this name.
    """
    given: object = topic
    if not isinstance(given, str) or _TOPIC.match(given) is None or given in (".", ".."):
        raise ConfigurationError(f"topic must be 1 to 249 letters, digits, dots, dashes and underscores, not {topic!r}")
    return topic
