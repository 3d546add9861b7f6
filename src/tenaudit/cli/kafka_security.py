"""TLS and SASL of a command that talks to Kafka: options in, `KafkaSecurity` out; no password is ever an argument."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenaudit.backends.kafka import KafkaSecurity

__all__ = ["SecurityOptions", "kafka_security", "kafka_security_options"]

_R = TypeVar("_R")
_FILE = click.Path(path_type=Path)
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_PASSWORD = "TENAUDIT_KAFKA_PASSWORD"  # noqa: S105 - the name of a variable
_KEY_PASSWORD = "TENAUDIT_KAFKA_KEY_PASSWORD"  # noqa: S105 - likewise
_MOST_PASSWORD_BYTES = 4096
# What OpenSSL takes.
_MOST_KEY_PASSWORD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """What the options say, before any file is read.

    Args:
        tls: encrypt.
        tls_ca: certificates to trust.
        tls_cert: certificate to show.
        tls_key: its key.
        sasl: the mechanism.
        sasl_user: who to be.
        sasl_password_file: file with the password.

    Example:
        >>> SecurityOptions(sasl="PLAIN").first
        '--sasl'
    """

    tls: bool = False
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    sasl: str | None = None
    sasl_user: str | None = None
    sasl_password_file: Path | None = None

    @property
    def first(self) -> str | None:
        """The first option that was given, but for the user, who may stand in the variable of a whole machine."""
        names = (field.name for field in fields(self) if field.name != "sasl_user")
        return next((f"--{name.replace('_', '-')}" for name in names if getattr(self, name)), None)

    def security(self) -> KafkaSecurity:
        """Return how to reach a cluster.

        Raises:
            ConfigurationError: a part is missing, makes no sense without another, or cannot be read.
            OSError: the file with the password cannot be read.
            MissingExtra: aiokafka is not installed.
        """
        context = _context(self.tls_ca, self.tls_cert, self.tls_key, is_wanted=self.tls)
        return kafka_security(context, self.sasl, self.sasl_user, self.sasl_password_file)


def kafka_security_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Give a command the options of encryption and identity; it gets `security`, a `SecurityOptions`."""

    @click.option("--tls", is_flag=True, help="Encrypt the connection to Kafka and check the brokers' certificates.")
    @click.option(
        "--tls-ca", type=_FILE, metavar="FILE", help="Certificates to trust, in PEM, in place of the system's."
    )
    @click.option("--tls-cert", type=_FILE, metavar="FILE", help="Certificate to be known by, in PEM.")
    @click.option(
        "--tls-key",
        type=_FILE,
        metavar="FILE",
        help=f"Its key, when that is not in the same file; its password is in {_KEY_PASSWORD}.",
    )
    @click.option(
        "--sasl", type=click.Choice(_MECHANISMS), help="How to say who one is; PLAIN, which sends it, needs --tls."
    )
    @click.option("--sasl-user", envvar="TENAUDIT_KAFKA_USER", show_envvar=True, metavar="NAME", help="Who.")
    @click.option(
        "--sasl-password-file",
        type=_FILE,
        metavar="FILE",
        help=f"File with the password alone; without one it is in {_PASSWORD}. It is no argument, as others can read "
        "a command line.",
    )
    @wraps(command)
    def secured(*args: Any, **options: Any) -> _R:
        security = SecurityOptions(**{field.name: options.pop(field.name) for field in fields(SecurityOptions)})
        return command(*args, security=security, **options)

    return secured


def kafka_security(
    context: ssl.SSLContext | None, sasl: str | None, user: str | None, password_file: Path | None
) -> KafkaSecurity:
    """Return how to reach a cluster.

    Args:
        context: None sends everything in clear.
        sasl: the mechanism, None without an identity.
        user: whose password is in the file, or else in `TENAUDIT_KAFKA_PASSWORD`.
        password_file: see *user*.

    Raises:
        ConfigurationError: a part is missing or makes no sense without another, or the password would be sent in clear.
        OSError: the file cannot be read.
    """
    from tenaudit.backends.kafka import KafkaSecurity  # noqa: PLC0415 - needs an extra, so only on use

    if sasl is None:
        # The user may stand in the variable of a whole machine; a file was named for this very command.
        if password_file is not None:
            raise ConfigurationError("--sasl-password-file needs --sasl")
        return KafkaSecurity("PLAINTEXT" if context is None else "SSL", context)
    if context is None and sasl == "PLAIN":
        raise ConfigurationError("--sasl PLAIN would send the password in clear; add --tls, or choose a SCRAM")
    if not user:
        raise ConfigurationError("--sasl needs --sasl-user, or TENAUDIT_KAFKA_USER")
    protocol = "SASL_PLAINTEXT" if context is None else "SASL_SSL"
    return KafkaSecurity(protocol, context, sasl, user, _password(password_file))


def _password(path: Path | None) -> str:
    if path is None:
        if not (told := os.environ.get(_PASSWORD, "")):
            raise ConfigurationError(f"--sasl needs a password: set {_PASSWORD}, or name --sasl-password-file")
        return _checked(_PASSWORD, told, _MOST_PASSWORD_BYTES)
    with path.open("rb") as file:
        raw = file.read(_MOST_PASSWORD_BYTES + 1)
    try:
        told = raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        told = ""
    if not told or len(raw) > _MOST_PASSWORD_BYTES:
        raise ConfigurationError(f"{path} must hold the password as UTF-8, and at most {_MOST_PASSWORD_BYTES} bytes")
    return told


def _checked(variable: str, told: str, most: int) -> str:
    """Return what a variable holds, unless it is one that no connection could use."""
    try:
        size = len(told.encode())
    except UnicodeEncodeError:
        size = most + 1
    if size > most:
        raise ConfigurationError(f"{variable} must be UTF-8, and at most {most} bytes")
    return told


def _context(ca: Path | None, cert: Path | None, key: Path | None, *, is_wanted: bool) -> ssl.SSLContext | None:
    given = [name for name, path in (("ca", ca), ("cert", cert), ("key", key)) if path is not None]
    if not is_wanted:
        if given:
            raise ConfigurationError(f"--tls-{given[0]} needs --tls")
        return None
    if key is not None and cert is None:
        raise ConfigurationError("--tls-key needs --tls-cert")
    context = _read("--tls-ca", ca, lambda: ssl.create_default_context(cafile=ca))
    if cert is not None:
        # Without a password OpenSSL would ask for one at the terminal.
        password = _checked(_KEY_PASSWORD, os.environ.get(_KEY_PASSWORD, ""), _MOST_KEY_PASSWORD_BYTES)
        _read("--tls-cert", cert, lambda: context.load_cert_chain(cert, key, password))
    return context


def _read(option: str, path: Path | None, read: Callable[[], _R]) -> _R:
    try:
        return read()
    except OSError as error:
        # What OpenSSL says names neither the file nor the option.
        why = "it holds no such PEM, or its password is wrong" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(f"{option} {path}: {why}") from error
