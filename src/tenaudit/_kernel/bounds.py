"""Numbers that bound something: for how long, how many, how much."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["INT32", "INT32_SECONDS", "check_counts", "check_seconds"]

INT32 = 2**31 - 1
"""Most that a protocol with numbers of 32 bits can be told."""
INT32_SECONDS = INT32 // 1000
"""Longest time that Kafka, PostgreSQL and SQLite can be told, which take milliseconds of 32 bits."""

_MOST = sys.float_info.max


def check_seconds(*, may_be_zero: bool = False, most: float = _MOST, **seconds: object) -> None:
    """Refuse times that are no finite number above 0, or from 0 on, up to *most*.

    Raises:
        ConfigurationError: it names the first of them.

    Example:
        >>> check_seconds(write_timeout=5.0, close_timeout=5)
        >>> check_seconds(write_timeout=float("nan"))
        Traceback (most recent call last):
        tenaudit._kernel.error.ConfigurationError: write_timeout must be a finite number of seconds above 0
    """
    _check(seconds, (int, float), "a finite number of seconds", most, may_be_zero=may_be_zero)


def check_counts(*, most: float = _MOST, **counts: object) -> None:
    """Refuse counts and sizes that are no whole number above 0, up to *most*.

    Raises:
        ConfigurationError: it names the first of them.
    """
    _check(counts, (int,), "a whole number", most, may_be_zero=False)


def _check(
    numbers: Mapping[str, object], kinds: tuple[type, ...], what: str, most: float, *, may_be_zero: bool
) -> None:
    for name, value in numbers.items():
        # True is an int in Python, and NaN is in no range.
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= most or not (value or may_be_zero):  # type: ignore[operator]
            low = ", 0 or more" if may_be_zero else " above 0"
            high = "" if most == _MOST else f" and at most {most}"
            # The value is not repeated: nobody knows what was put in a wrong place.
            raise ConfigurationError(f"{name} must be {what}{low}{high}")
