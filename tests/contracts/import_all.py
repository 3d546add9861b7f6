"""Import every public module of the installed package and say of each that it loads or which extra it needs.

A program, not a test: `python import_all.py [EXTRA]`. With the name of an extra, the modules of that extra must load.
Exit 1 when a module fails in any other way than by naming its pip line.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import pkgutil
import re
import sys

import tenaudit
import tenaudit.cli

PIP_LINE = re.compile(r'pip install "tenaudit\[([a-z]+)\]"')
# Modules that an extra must make loadable; an extra whose module is yet to come has none.
HOMES = {
    "aiohttp": ["tenaudit.adapters.aiohttp"],
    "cedar": ["tenaudit.backends.cedar"],
    "cli": ["tenaudit.cli.app"],
    "demo": ["tenaudit.demo.outcome", "tenaudit.cli.demo"],
    "flask": ["tenaudit.adapters.flask"],
    "jwks": ["tenaudit.backends.jwks"],
    "jwt": ["tenaudit.security.tokens"],
    "postgres": ["tenaudit.backends.postgres"],
    "serve": ["tenaudit.cli.serve"],
    "starlette": ["tenaudit.adapters.starlette"],
    "testing": ["tenaudit.testing.plugin", "tenaudit.testing.conformance"],
}


def public_modules() -> list[str]:
    """Return the dotted name of every module without a leading underscore in its path, except programs."""
    found = pkgutil.walk_packages(tenaudit.__path__, "tenaudit.", onerror=lambda _: None)
    return [module.name for module in found if not any(part.startswith("_") for part in module.name.split("."))]


def command_line_says(name: str) -> re.Match[str] | None:
    """Return the pip line that the program prints; its commands are run, never imported, so that is where it stands."""
    said = io.StringIO()
    if not name.startswith("tenaudit.cli."):
        return None
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        status = tenaudit.cli.main(["audit", "--help"])
    return PIP_LINE.search(said.getvalue()) if status == 2 else None


def main(extra: str | None) -> int:
    """Import everything, print a line each, return the exit status."""
    status = 0
    loaded = set()
    for name in public_modules():
        try:
            importlib.import_module(name)
        except ImportError as error:
            line = PIP_LINE.search(str(error)) or command_line_says(name)
            print(f"{'needs' if line else 'BROKEN':8}{name}: {error}")
            status |= line is None
        else:
            loaded.add(name)
            print(f"{'loads':8}{name}")
    for name in HOMES.get(extra or "", []):
        if name not in loaded:
            print(f"{'MISSING':8}{name} does not load with tenaudit[{extra}]")
            status = 1
    print(f"{len(loaded)} modules load, extra: {extra or 'none'}")
    return status


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:2] or [None])))
