"""A cluster and the way into it: starting a client there, or finding out why no broker lets it in.

aiokafka only logs what each broker answered, and then raises one error for every cause.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from socket import gaierror
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.extras import MissingExtra
from tenaudit.backends.kafka.background import start

try:
    from aiokafka.conn import AIOKafkaConnection, collect_hosts
    from aiokafka.errors import (
        IllegalSaslStateError,
        KafkaConnectionError,
        KafkaError,
        SaslAuthenticationFailed,
        UnknownTopicOrPartitionError,
        UnsupportedSaslMechanismError,
    )
    from aiokafka.protocol.metadata import MetadataRequest
except ImportError as error:
    raise MissingExtra("kafka", "aiokafka") from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenaudit.backends.kafka.security import KafkaSecurity

__all__ = ["Cluster", "in_words"]

# Seconds.
_FAREWELL = 0.5
# The first bytes of a record of the kind alert (RFC 8446 section 5.1), where Kafka has the length of an answer.
_TLS_ALERT = b"\x15\x03"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Brokers to ask first, and what a client shows them.

    Args:
        servers: each `host:port`.
        security: encryption and identity.
        client_id: the client's name.
        request_timeout_ms: what one answer may take.
    """

    servers: list[str]
    security: KafkaSecurity
    client_id: str
    request_timeout_ms: int

    def options(self) -> dict[str, Any]:
        """Return what aiokafka's producers and consumers take of it."""
        return {"bootstrap_servers": self.servers, **self._connection()}

    async def start(self, client: Any) -> None:
        """Start a producer or consumer that was made with `options`; the caller sets the deadline.

        Raises:
            Exception: the most telling of those that the brokers gave rise to, for `in_words`.
        """
        try:
            await start(client)
        except KafkaConnectionError as error:
            raise min(await self._refusals(), key=_row, default=error) from error

    def _connection(self) -> dict[str, Any]:
        return {
            "client_id": self.client_id,
            "request_timeout_ms": self.request_timeout_ms,
            **self.security.options(),
        }

    async def _refusals(self) -> list[Exception]:
        """Knock at every server at once, since one may never answer, until the first that does."""
        knocks = [asyncio.create_task(self._knock(host, port)) for host, port, _ in collect_hosts(self.servers)]
        refusals: list[Exception] = []
        try:
            for knock in asyncio.as_completed(knocks):
                refusal = await knock
                refusals += [refusal] if refusal else []
                if refusal is None or _row(refusal) <= _LAST_ANSWER:
                    break
        finally:
            for knock in knocks:
                knock.cancel()
        return refusals

    async def _knock(self, host: str, port: int) -> Exception | None:
        """Return what a broker answers to a client that wants in as aiokafka's does; None when it lets it in."""
        connection = AIOKafkaConnection(host, port, **self._connection())
        try:
            await connection.connect()
            # A broker that wants a password takes nothing else from one without.
            await connection.send(MetadataRequest([]))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is why
            if isinstance(error, KafkaError):
                # It was connected, and TLS has a farewell: an event loop that ends before it complains.
                await asyncio.wait({connection.close()}, timeout=_FAREWELL)
            refusal: Exception = _innermost(error)
            return refusal
        finally:
            connection.close()
        return None


def in_words(error: BaseException) -> str:
    """Return what went wrong, with no secret in it.

    >>> in_words(TimeoutError())
    'no answer in time'
    """
    return _TABLE[_row(error)][1](_innermost(error))


def _innermost(error: Any) -> Any:
    # A connection that ends puts why below the error of each request that waited.
    return error.__cause__ if isinstance(error, KafkaConnectionError) and error.__cause__ else error


def _row(error: BaseException) -> int:
    innermost = _innermost(error)
    return next(number for number, (kinds, _) in enumerate(_TABLE) if isinstance(innermost, kinds))


def _of_tls(error: ssl.SSLError) -> str:
    reason = error.reason or "no reason told"
    if "ALERT" in reason and ("CERT" in reason or "UNKNOWN_CA" in reason):
        return f"the broker does not accept the client's certificate, or misses one ({reason})"
    return f"TLS failed ({reason}); check that the port is one for TLS"


def _of_an_end(error: BaseException) -> str:
    if isinstance(error, asyncio.IncompleteReadError) and (error.expected or 0).to_bytes(4, "big")[:2] == _TLS_ALERT:
        return "the port is one for TLS, and the client sends in clear"
    return "the broker closed the connection; check that its port is for this protocol, and whom it lets in"


# What tells more stands first: of several brokers the one that answered is heard before the one that is away.
_TABLE: tuple[tuple[tuple[type[BaseException], ...], Callable[[Any], str]], ...] = (
    ((SaslAuthenticationFailed,), lambda _: "authentication failed; check the user and the password"),
    ((UnsupportedSaslMechanismError,), lambda _: "the broker does not take this SASL mechanism"),
    ((IllegalSaslStateError,), lambda _: "the port is one without SASL"),
    (
        (ssl.SSLCertVerificationError,),
        lambda e: f"the broker's certificate is not trusted: {e.verify_message.rstrip('.')}",
    ),
    ((ssl.SSLError,), _of_tls),
    ((asyncio.IncompleteReadError, ConnectionResetError, BrokenPipeError), _of_an_end),
    ((UnknownTopicOrPartitionError,), lambda _: "the cluster knows no such topic; make it, or check its name"),
    ((gaierror,), lambda _: "the broker's host name is not known"),
    ((TimeoutError,), lambda _: "no answer in time"),
    ((ConnectionRefusedError,), lambda _: "no broker listens there"),
    ((OSError,), lambda e: f"no connection: {e.strerror or e}"),
    ((KafkaConnectionError,), lambda _: "no broker could be reached"),
    ((BaseException,), lambda e: type(e).__name__),
)
_LAST_ANSWER = next(number for number, (_, words) in enumerate(_TABLE) if words is _of_an_end)
