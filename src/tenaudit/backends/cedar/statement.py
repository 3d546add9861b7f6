"""Cedar text taken apart into its statements: cedarpy's errors have no line, so each statement remembers its own.

Rules of this file: pure; it never decides what Cedar means, only where a statement starts and ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CedarPolicy", "Statement", "check_depth", "split_statements"]

# cedarpy 4.12 recurses over an expression without a bound and ends the whole process where the stack does: a thousand
# brackets were enough, and 95 in a thread with 1 MiB of stack. A policy that a person reads stays below both bounds.
_MAX_DEPTH = 30
_MAX_OPERATORS = 200
# A comment ends at a carriage return too, as Cedar reads it: else a forbid after one would silently be gone.
_TOKEN = re.compile(
    r'(?P<skip>//[^\n\r]*|"(?:\\.|[^"\\])*")|(?P<end>;)|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<angle>[<>])'
    r"|(?P<operator>&&|\|\||[.+\-*=!]|\b(?:if|has|like|in|is)\b)",
    re.DOTALL,
)
_LEADING = re.compile(r"(?:\s|//[^\n\r]*)*")


@dataclass(frozen=True, slots=True)
class CedarPolicy:
    """One policy as it was loaded.

    Args:
        name: its `@id`, or its place when it has none, `source:line`; never the position, which changes as files do.
        source: the file, or what the caller called the text.
        line: where it starts, from 1.
        effect: `permit` or `forbid`.
        text: the policy.
        role: the role it is written for, when its scope is `principal in Tenaudit::Role::"..."`.

    Example:
        >>> CedarPolicy("refunds", "shop.cedar", 3, "permit", "permit(...);", "Cashier").name
        'refunds'
    """

    name: str
    source: str
    line: int
    effect: Literal["permit", "forbid"]
    text: str
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A piece of text that should be one policy."""

    source: str
    line: int
    text: str
    column: int = 0

    @property
    def where(self) -> str:
        """Its place, as errors name it; with the column when another statement begins on the line before it."""
        column = f":{self.column}" if self.column else ""
        return f"{self.source}:{self.line}{column}"


def split_statements(text: str, source: str) -> Iterator[Statement]:
    r"""Yield each statement of a policy file, comments between them left out.

    Raises:
        ConfigurationError: a statement nests deeper, or has more operators, than cedarpy is sure to survive.

    >>> [(s.line, s.text) for s in split_statements('// all\npermit(a);\nforbid(";");', "p")]
    [(2, 'permit(a);'), (3, 'forbid(";");')]
    """
    start, last = 0, 0
    for end in [*(m.end() for m in _TOKEN.finditer(text) if m["end"]), len(text)]:
        first = _first(text, start, end)
        if first < end:
            line = text.count("\n", 0, first) + 1
            column = first - text.rfind("\n", 0, first) if line == last else 0
            statement, last = Statement(source, line, text[first:end], column), line
            check_depth(statement.text, statement.where)
            yield statement
        start = end


def check_depth(text: str, where: str, *, schema: bool = False) -> None:
    """Refuse what cedarpy may not survive.

    Args:
        text: one policy, or a whole schema.
        where: how the error names it.
        schema: whether it is a schema, where `<` and `>` are brackets and there are no operators.

    Raises:
        ConfigurationError: the text nests too deep, or the policy has too many operators.
    """
    depth = operators = 0
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "angle" and schema:
            kind = "open" if token[0] == "<" else "close"
        depth += (kind == "open") - (kind == "close")
        operators += not schema and kind in {"operator", "angle"}
        if depth > _MAX_DEPTH:
            raise ConfigurationError(f"{where}: is nested deeper than {_MAX_DEPTH} brackets")
        if operators > _MAX_OPERATORS:
            raise ConfigurationError(f"{where}: has more than {_MAX_OPERATORS} operators in one policy")


def _first(text: str, start: int, end: int) -> int:
    """Return where the statement begins behind white space and comments."""
    leading = _LEADING.match(text, start, end)
    return start if leading is None else leading.end()
