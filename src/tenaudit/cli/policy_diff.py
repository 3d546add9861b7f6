"""`tenaudit policy diff`: which answers change."""

from __future__ import annotations

import click

from tenaudit.cli.output import json_option, write_json, write_line
from tenaudit.cli.policy_source import load_source
from tenaudit.policy import PolicyMatrix

__all__ = ["diff"]


@click.command(
    short_help="List every answer that changes between two matrices.",
    epilog="Exit codes, as those of diff: 0 the same; 1 something differs; 2 bad usage or a file that cannot be used.",
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@json_option
def diff(old: str, new: str, as_json: bool) -> int:  # noqa: FBT001 - click's call
    """List every role and capability whose answer changes, and every name that comes, goes or is renamed.

    With --json: {"cells": [{"role", "capability", "before", "after"}], "roles_added", "roles_removed",
    "capabilities_added", "capabilities_removed", "denial_names": [{"capability", "before", "after"}]}.
    """
    found = PolicyMatrix.diff(load_source(old).matrix, load_source(new).matrix)
    if as_json:
        write_json(found.to_json())
    else:
        for line in found.lines() or ["no answer and no name changes"]:
            write_line(line)
    return 1 if found else 0
