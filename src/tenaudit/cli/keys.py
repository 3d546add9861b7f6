"""`tenaudit keys`: the API keys that a gateway takes."""

from __future__ import annotations

import click

from tenaudit.cli.keys_create import create
from tenaudit.cli.keys_list import list_keys
from tenaudit.cli.keys_revoke import revoke
from tenaudit.cli.keys_rotate import rotate

__all__ = ["keys"]


@click.group()
def keys() -> None:
    """Create, list, revoke and rotate API keys."""


keys.add_command(create)
keys.add_command(list_keys)
keys.add_command(revoke)
keys.add_command(rotate)
