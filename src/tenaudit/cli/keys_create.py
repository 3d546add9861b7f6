"""`tenaudit keys create`: a new API key, shown once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.cli.keys_store import keys_store_option, open_keys_store
from tenaudit.cli.keys_time import end_of
from tenaudit.cli.keys_view import show_new_key
from tenaudit.cli.output import json_option
from tenaudit.security import Role, SecuritySettings, new_api_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from tenaudit.security import ApiKeyRecord

__all__ = ["create"]


@click.command(
    short_help="Make an API key and show it, once.",
    epilog="Exit codes: 0 made; 2 bad usage or a store that cannot be used.",
)
@keys_store_option
@click.option("--tenant", type=click.UUID, required=True, help="The tenant that the key acts for.")
@click.option("--role", "roles", multiple=True, required=True, metavar="NAME", help="A role; may be repeated.")
@click.option("--any-role", is_flag=True, help="Take role names that the platform's vocabulary does not know.")
@click.option("--name", default="", help="What people call the key; at most 100 characters.")
@click.option("--description", default="", metavar="TEXT", help="What it is for; at most 500 characters.")
@click.option("--expires", metavar="WHEN", help="A span (90d, 24h), a date (2027-01-31) or a time; never by default.")
@json_option
def create(
    store_url: str,
    tenant: UUID,
    roles: tuple[str, ...],
    any_role: bool,  # noqa: FBT001 - click's call
    name: str,
    description: str,
    expires: str | None,
    as_json: bool,  # noqa: FBT001 - click's call
) -> int:
    """Make an API key for a tenant and print it: this once, since the store keeps only a hash.

    The key alone goes to standard output. A SQLite file that is not there is made, for its owner alone to read.

    With --json: {"key", "prefix", "tenant_id", "roles", "name", "description", "state", "created_at", "expires_at",
    "revoked_at", "rotated_from", "replaced_by"}.
    """
    now = time.time()
    key, record = new_api_key(
        tenant,
        _checked(roles, any_role=any_role),
        expires_at=None if expires is None else end_of(expires, now),
        created_at=now,
        name=name,
        description=description,
    )
    asyncio.run(_put(store_url, record))
    show_new_key(key, record, now, as_json=as_json)
    return 0


async def _put(store_url: str, record: ApiKeyRecord) -> None:
    async with open_keys_store(store_url, must_exist=False) as store:
        await store.put(record)


def _checked(roles: Iterable[str], *, any_role: bool) -> list[str]:
    known = SecuritySettings()
    found = []
    for role in roles:
        name = known.role_of(role)
        if name is None and not any_role:
            names = ", ".join(Role)
            raise ConfigurationError(f"the role {role} is not known; known are {names}; --any-role takes any name")
        found.append(name or role)
    return found
