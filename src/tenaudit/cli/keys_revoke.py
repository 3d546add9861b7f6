"""`tenaudit keys revoke`: a key that works no more."""

from __future__ import annotations

import asyncio
import time

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.cli.keys_store import keys_store_option, open_keys_store, prefix_argument
from tenaudit.cli.output import write_line

__all__ = ["revoke"]


@click.command(
    short_help="Refuse an API key from now on.",
    epilog="Exit codes: 0 revoked, also when it was before; 2 bad usage, no such key, or a store that cannot be used.",
)
@prefix_argument
@keys_store_option
def revoke(prefix: str, store_url: str) -> int:
    """Refuse the key that PREFIX names from now on; this cannot be undone.

    A gateway that caches keys (cache_seconds) takes it until its cache has forgotten it.
    """
    if not asyncio.run(_revoke(store_url, prefix)):
        raise ConfigurationError(f"there is no key {prefix}; see tenaudit keys list")
    write_line(f"revoked: {prefix}")
    return 0


async def _revoke(store_url: str, prefix: str) -> bool:
    async with open_keys_store(store_url, must_exist=True) as store:
        return await store.revoke(prefix, time.time())
