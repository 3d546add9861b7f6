"""`tenaudit policy check`: does a matrix answer as somebody wrote down?"""

from __future__ import annotations

import click

from tenaudit.cli.output import json_option, write_json, write_line
from tenaudit.cli.policy_source import file_option, load_source
from tenaudit.policy import check_golden, load_golden

__all__ = ["check"]


@click.command(
    short_help="Check a matrix against golden cells.",
    epilog="Exit codes: 0 every cell is as written; 1 one is not, each is named; 2 bad usage or a file that cannot be "
    "used.",
)
@file_option
@click.option("--golden", metavar="FILE", required=True, help="The expected answers: TOML, or JSON by its name.")
@click.option("--complete", is_flag=True, help="Every cell of the matrix must be in the golden file.")
@json_option
def check(name: str, golden: str, complete: bool, as_json: bool) -> int:  # noqa: FBT001 - click's call
    """Compare every golden cell with the answer of the matrix and name each that differs.

    With --json: {"ok", "cells", "faults": [{"kind", "role", "capability", "detail", "place"}]}; kind is mismatch,
    unknown_role, unknown_capability, repeated or missing.
    """
    cells = load_golden(golden)
    faults = check_golden(load_source(name).matrix, cells, complete=complete)
    if as_json:
        write_json({"ok": not faults, "cells": len(cells), "faults": [fault.to_json() for fault in faults]})
    else:
        for fault in faults:
            write_line(str(fault))
        write_line(f"{'NOT as written' if faults else 'as written'}: cells {len(cells)}, faults {len(faults)}")
    return 1 if faults else 0
