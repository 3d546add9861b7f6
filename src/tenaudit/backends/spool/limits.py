"""The bounds of a spool, checked once."""

from __future__ import annotations

from dataclasses import dataclass

from tenaudit._kernel.error import ConfigurationError

__all__ = ["SpoolLimits"]

_PAGE = 4096
_LEAST_SEGMENT = 64 * 1024
_MOST_LOG_PAGES = 1000
_LEAST_LOG_PAGES = 8
# Beside what a row holds: its header, its share of a page's index, and a page that it fills only by half.
_ROW = 64


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """How much a spool may take; all in bytes.

    Args:
        max_bytes: size of all files together.
        segment_bytes: contents of one file, and with it what one damaged page can take along at most.
        reserve_bytes: what it leaves free on the disk for others.

    Raises:
        ConfigurationError: a bound that cannot be.

    Example:
        >>> SpoolLimits(2**28, 2**24, 2**26).log_pages
        1000
    """

    max_bytes: int
    segment_bytes: int
    reserve_bytes: int

    def __post_init__(self) -> None:
        if self.segment_bytes < _LEAST_SEGMENT:
            raise ConfigurationError(f"segment_bytes must be at least {_LEAST_SEGMENT}")
        if self.max_bytes < 4 * self.segment_bytes:
            raise ConfigurationError("max_bytes must be at least four times segment_bytes")
        if self.reserve_bytes < 0:
            raise ConfigurationError("reserve_bytes must not be below 0")

    @property
    def log_pages(self) -> int:
        """Pages that a segment's log holds before they move into its database."""
        return max(_LEAST_LOG_PAGES, min(_MOST_LOG_PAGES, self.segment_bytes // 4 // _PAGE))

    @staticmethod
    def growth(records: int, size: int) -> int:
        """Return by how much the files grow at most for so many records of *size* bytes together.

        Twice, since a page is first in the log and then in the database too.
        """
        return 2 * (2 * size + records * _ROW + 12 * _PAGE)
