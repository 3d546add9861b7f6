"""How the pages become HTML; nothing here reads the network or names a machine."""

from __future__ import annotations

import re
from importlib.metadata import version as _version
from typing import Any

project = "tenaudit"
author = "The tenaudit authors"
copyright = "The tenaudit authors"
release = _version("tenaudit")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "tenaudit"
html_copy_source = False

myst_heading_anchors = 3

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_use_ivar = True


_CODE = re.compile(r"(?<![`:])`([^`]+)`(?!`)")


def _as_rst(_app: Any, what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Write code as RST does; of a package show the first sentence, the rest is for readers of the source."""
    if what == "module":
        del lines[1:]
    # In one piece, since code may go over the end of a line.
    lines[:] = _CODE.sub(r"``\1``", "\n".join(lines)).split("\n")


def setup(app: Any) -> None:
    # Before napoleon, which takes a colon in single backticks for the end of a type.
    app.connect("autodoc-process-docstring", _as_rst, priority=400)
