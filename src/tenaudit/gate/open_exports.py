"""How many exports a gate makes at once: each reads the store for as long as its client takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from tenaudit.gate.open_answers import OpenAnswers, check_open_bounds

if TYPE_CHECKING:
    from tenaudit.gate.gate import Gate

__all__ = ["ExportSettings", "open_exports_of"]


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """Bounds of `GET /audit/export`.

    Args:
        max_open: exports that a gate makes at once in this process. Behind WSGI each takes a thread of the server, so
            that this and the tails' belong well below the number of threads.
        max_open_per_tenant: those of one tenant.

    Raises:
        ConfigurationError: a value is out of range; the message names it.

    Example:
        >>> ExportSettings(max_open=8).max_open_per_tenant
        4
    """

    max_open: int = 16
    max_open_per_tenant: int = 4

    def __post_init__(self) -> None:
        check_open_bounds("export", self)


_exports: WeakKeyDictionary[Gate, OpenAnswers] = WeakKeyDictionary()


def open_exports_of(gate: Gate) -> OpenAnswers:
    """Return the exports of a gate, however many APIs it serves."""
    return _exports.setdefault(gate, OpenAnswers("Too many exports are running."))
