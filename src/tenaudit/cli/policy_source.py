"""Which matrix a command is about: a file, or the built-in one by the name `default`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.toml_place import line_of
from tenaudit.policy import PolicyMatrix

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MatrixSource", "file_option", "load_source"]

_F = TypeVar("_F", bound="Callable[..., Any]")
_DEFAULT = "default"


class MatrixSource(NamedTuple):
    """A matrix and the text that it was read from, which the built-in one does not have."""

    name: str
    matrix: PolicyMatrix
    text: str = ""

    def place(self, role: str, capability: str) -> str | None:
        """Return `FILE:LINE` of the rule that lets *role* have *capability*, None for the built-in matrix."""
        if not self.text:
            return None
        line = line_of(self.text, ("roles", role, capability), as_key=False)
        return self.name if line is None else f"{self.name}:{line}"


def file_option(command: _F) -> _F:
    """Give a command the option `--file`."""
    option = click.option(
        "--file", "name", metavar="FILE", default=_DEFAULT, show_default=True, help="The matrix: a TOML file."
    )
    return option(command)


def load_source(name: str) -> MatrixSource:
    """Load the matrix that *name* is; a file called `default` is written `./default`.

    Raises:
        ConfigurationError: the file cannot be read or breaks a rule; the message names file and line.
    """
    if name == _DEFAULT:
        return MatrixSource(name, PolicyMatrix.default())
    try:
        text = Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{name}: {error.strerror or error}; name a TOML file, or `default` for the built-in matrix"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from error
    return MatrixSource(name, PolicyMatrix.from_toml_text(text, source=name), text)
