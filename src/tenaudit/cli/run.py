"""One run of the command line: arguments in, exit code out, and every failure one line."""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import TYPE_CHECKING

import click

from tenaudit.cli.app import app
from tenaudit.cli.errors import BROKEN_PIPE, explain

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Run the command that *argv* names and return its exit code."""
    debug = "--debug" in argv or os.environ.get("TENAUDIT_DEBUG", "") not in ("", "0")
    if not debug:
        # A command says in one line what went wrong; the log of what it runs is for those who ask.
        logging.getLogger("tenaudit").addHandler(logging.NullHandler())
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        # A terminal or a pipe of another encoding gets an escape for what it cannot show, as it does on stderr.
        stdout.reconfigure(errors="backslashreplace")
    try:
        code = app.main(args=list(argv), prog_name="tenaudit", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(f"{error.ctx.get_help()}\n")
        return 2
    except SystemExit as left:
        # Click answers a reader that has gone itself: it wraps the stream and exits with 1, which here would mean
        # "not as it should be".
        if sys.stdout is not stdout:
            return BROKEN_PIPE
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except BrokenPipeError:
        # The reader has gone, as `head` does; without this the interpreter would complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (Exception, KeyboardInterrupt) as error:
        if debug and not isinstance(error, (click.ClickException, click.Abort)):
            raise
        line, exit_code = explain(error)
        sys.stderr.write(f"error: {line}\n")
        return exit_code
    return code if isinstance(code, int) else 0
