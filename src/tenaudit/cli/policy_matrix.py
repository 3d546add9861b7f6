"""`tenaudit policy matrix`: the table, as the reference publishes it."""

from __future__ import annotations

import click

from tenaudit.cli.output import write_json, write_line
from tenaudit.cli.policy_source import file_option, load_source
from tenaudit.policy import golden_cells, golden_toml, matrix_json, matrix_markdown

__all__ = ["matrix"]


@click.command(
    short_help="Print a matrix as a table.",
    epilog="Exit codes: 0 printed; 2 bad usage or a file that cannot be used.",
)
@file_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "json", "golden"]),
    default="markdown",
    show_default=True,
    help="A table, one JSON object, or every cell as a golden file to check in.",
)
def matrix(name: str, form: str) -> None:
    """Print which role grants which capability, and what a denied client may read.

    With --format json: {"content_hash", "roles", "capabilities": [{"name", "denial_name", "granted_by"}]}.
    """
    found = load_source(name).matrix
    if form == "json":
        write_json(matrix_json(found))
        return
    text = matrix_markdown(found) if form == "markdown" else golden_toml(golden_cells(found))
    for line in text.splitlines():
        write_line(line)
