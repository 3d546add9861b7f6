"""The command line: `tenaudit`, one file a command.

Importing this needs the standard library only, so that a missing extra is one line and no traceback.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_PACKAGES = ("click", "rich")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        argv: arguments after the program's name, those of the process by default.

    Returns:
        What the command says; 2 for bad usage or a failed store, 70 for a fault of ours, 130 after Ctrl-C.
    """
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by the caller, as `>&-` does: what is said goes nowhere
            setattr(sys, stream, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for the whole run
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        from tenaudit.cli.run import run  # noqa: PLC0415 - needs the extra `cli`
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES:
            raise
        # Named at once: whoever asks for one of these needs its extra, which brings this one.
        extra = arguments[0] if arguments[:1] in (["demo"], ["serve"]) else "cli"
        sys.stderr.write(f'error: {package} is not installed: pip install "tenaudit[{extra}]"\n')
        return 2
    return run(arguments)
