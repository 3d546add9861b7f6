"""A number of seconds as an option; pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from typing import Any

__all__ = ["SecondsRange"]


class SecondsRange(click.FloatRange):
    """A range of numbers in which `nan` is none: it compares with nothing, so click's own takes it for one.

    Example:
        >>> SecondsRange(1, 60).convert("2.5", None, None)
        2.5
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or fail as click does."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is no number of seconds", param, ctx)
        return number
