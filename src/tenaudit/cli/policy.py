"""`tenaudit policy`: what a matrix says, whether it should, and what changes."""

from __future__ import annotations

import click

from tenaudit.cli.policy_check import check
from tenaudit.cli.policy_diff import diff
from tenaudit.cli.policy_explain import explain
from tenaudit.cli.policy_matrix import matrix

__all__ = ["policy"]


@click.group()
def policy() -> None:
    """Show, check, explain and compare policy matrices.

    A matrix is the path of a TOML file, or the word `default` for the built-in one.
    """


for _command in (check, diff, explain, matrix):
    policy.add_command(_command)
