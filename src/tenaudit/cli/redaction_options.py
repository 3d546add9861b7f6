"""What a command hides or takes out of events: `--redact`, `--redact-policy` and the variables of the environment."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
from prometheus_client import CollectorRegistry

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import RedactionPolicy, RedactionRule, Redactor
from tenaudit.audit.personal import PersonalFields
from tenaudit.audit.redaction_file import FIELDS_VARIABLE, MODE_VARIABLE, environment_rules, file_rules
from tenaudit.audit.redaction_rules import RedactionRules, checked_redactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenaudit.audit import EventRedactor

__all__ = ["RedactionOptions", "read_redaction_options", "write_redaction_options"]

_R = TypeVar("_R")
_FILE = click.Path(path_type=Path)
_VARIABLES = f"The variables {FIELDS_VARIABLE} and {MODE_VARIABLE} add to it."


class RedactionOptions(NamedTuple):
    """What was given.

    Args:
        paths: of `--redact`.
        file: of `--redact-policy`.
        personal: of `--personal`.
        personal_file: of `--personal-policy`.

    Example:
        >>> RedactionOptions(("actor_id",)).for_operator().peek({"actor_id": "alice"})[0]
        {'actor_id': '****'}
    """

    paths: tuple[str, ...] = ()
    file: Path | None = None
    personal: tuple[str, ...] = ()
    personal_file: Path | None = None

    def for_operator(self) -> RedactionPolicy | None:
        """Return what hides fields from whoever reads what a command prints; None hides nothing.

        The environment of a service is none of a person's who looks into its store.

        Raises:
            ConfigurationError: a path or the file is wrong.
        """
        return _policy(self._rules(), CollectorRegistry())

    def for_writer(self, registry: CollectorRegistry) -> RedactionPolicy | None:
        """Return what is taken out of events before they are written; None takes nothing.

        Args:
            registry: where the metrics live.

        Raises:
            ConfigurationError: the file or a variable is wrong.
        """
        return _policy(self._rules().plus(environment_rules()), registry)

    def for_server(self, registry: CollectorRegistry) -> EventRedactor | None:
        """Return what hides fields from readers without `audit_view_unredacted`; None hides nothing.

        Args:
            registry: where the metrics live.

        Raises:
            ConfigurationError: a path, the file or a variable is wrong.
        """
        told = environment_rules()
        if self.file is None and self.paths and told == RedactionRules():
            # Alone they may mask any field, as before there were policies.
            try:
                return Redactor(self.paths)
            except ValueError as error:
                raise ConfigurationError(f"--redact: {error}") from None
        return _policy(self._rules().plus(told), registry)

    def personal_fields(self) -> PersonalFields:
        """Return what a store can erase one day: everything that is named as personal, or is redacted anywhere.

        Raises:
            ConfigurationError: a path, a file or a variable is wrong.
        """
        rules = self._rules().plus(environment_rules())
        if self.personal_file is not None:
            rules = rules.plus(file_rules(self.personal_file))
        # Alone, so that an error names the path as it was given.
        PersonalFields(self.personal)
        return PersonalFields.of_rules(rules.plus(RedactionRules(tuple(map(RedactionRule, self.personal)))))

    def _rules(self) -> RedactionRules:
        rules = tuple(RedactionRule(path) for path in self.paths)
        checked_redactor("--redact", rules, None)
        return (RedactionRules() if self.file is None else file_rules(self.file)).plus(RedactionRules(rules))


def read_redaction_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Give a command that shows events the options; it gets `redaction`, a `RedactionOptions`."""

    @click.option(
        "--redact",
        "redact_paths",
        multiple=True,
        metavar="PATH",
        help="Field to mask, such as payload.card.number; may be repeated.",
    )
    @click.option("--redact-policy", type=_FILE, metavar="FILE", help="TOML file of what is masked, removed or hashed.")
    @wraps(command)
    def reading(*args: Any, redact_paths: tuple[str, ...], redact_policy: Path | None, **options: Any) -> _R:
        return command(*args, redaction=RedactionOptions(redact_paths, redact_policy), **options)

    return reading


def write_redaction_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Give a command that writes events the options; it gets `redaction`, a `RedactionOptions`."""

    @click.option(
        "--redact-policy",
        type=_FILE,
        metavar="FILE",
        help=f"TOML file of what is masked, removed or hashed in an event before it is written. {_VARIABLES}",
    )
    @click.option(
        "--personal",
        multiple=True,
        metavar="PATH",
        help="Field of the payload, or resource_id, that tenaudit audit erase can take out one day, beside the actor, "
        "the client's address and what is redacted; may be repeated.",
    )
    @click.option(
        "--personal-policy",
        type=_FILE,
        metavar="FILE",
        help="TOML file of redaction rules, such as that of the readers, whose fields can be erased one day.",
    )
    @wraps(command)
    def writing(
        *args: Any,
        redact_policy: Path | None,
        personal: tuple[str, ...],
        personal_policy: Path | None,
        **options: Any,
    ) -> _R:
        redaction = RedactionOptions((), redact_policy, personal, personal_policy)
        return command(*args, redaction=redaction, **options)

    return writing


def _policy(rules: RedactionRules, registry: CollectorRegistry) -> RedactionPolicy | None:
    return RedactionPolicy.from_rules(rules, registry=registry) if rules.redacts else None
