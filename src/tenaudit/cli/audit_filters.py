"""The filters of `GET /audit/events` as options, and the tenant that they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tenaudit.audit import Store
    from tenaudit.errors import ApiError

__all__ = ["filter_options", "given", "one_tenant", "tenant_option", "usage_error"]

_F = TypeVar("_F", bound="Callable[..., Any]")
# An empty store has nobody to ask for; the filters are checked all the same.
_NO_TENANT = UUID(int=0)
# The values stay text here: one parser reads them, for the commands and for HTTP alike.
_ABOUT = {
    "actor": "Id of the actor.",
    "action": "Name of the action, or a prefix such as 'iam.*'.",
    "resource_type": "Type of the resource.",
    "resource_id": "Id of the resource.",
    "severity": "info, warn, error or security.",
    "min_severity": "This severity or a graver one.",
    "outcome": "success, denied or failure.",
    "trace_id": "Trace id, 32 hex digits.",
    "service": "Name of the service.",
    "from": "Earliest time, such as 2026-11-24T06:00:00Z.",
    "to": "Time before which the events are.",
    "q": "Text that the payload holds.",
    "limit": "Most events to return, 1 to 500; 50 by default.",
    "cursor": "Where to go on: next_cursor or prev_cursor of an earlier answer.",
    "order": "desc (newest first, the default) or asc.",
    "format": "ndjson (the default), csv, cloudevents, ecs or ocsf.",
}


def filter_options(names: Iterable[str]) -> Callable[[_F], _F]:
    """Give a command an option for each of the parameters, in their order; it gets their texts, or None."""

    def give(command: _F) -> _F:
        for name in reversed([name for name in names if name in _ABOUT]):
            option = f"--{name.replace('_', '-')}"
            command = click.option(option, name, metavar="TEXT", help=_ABOUT[name])(command)
        return command

    return give


def given(filters: dict[str, str | None]) -> list[tuple[str, str]]:
    """Return the options that were given, as parameters."""
    return [(name, value) for name, value in filters.items() if value is not None]


def usage_error(error: ApiError, ctx: click.Context) -> click.UsageError:
    """Return a refusal of parameters in the words of options."""
    wrong = "; ".join(f"--{item['field'].replace('_', '-')} {item['message']}" for item in error.errors)
    return click.UsageError(wrong or error.message, ctx)


def tenant_option(command: _F) -> _F:
    """Give a command the option `--tenant`, which a store with one tenant can do without."""
    return click.option("--tenant", type=click.UUID, help="Whose events; needed when the store has several tenants.")(
        command
    )


async def one_tenant(store: Store, tenant: UUID | None) -> UUID:
    """Return the tenant that was named, or the only one of the store.

    Raises:
        ConfigurationError: none was named, and the store has several.
    """
    if tenant is not None:
        return tenant
    tenants = await store.tenants()
    if len(tenants) > 1:
        raise ConfigurationError(f"the store has {len(tenants)} tenants; name one with --tenant")
    return tenants[0] if tenants else _NO_TENANT
