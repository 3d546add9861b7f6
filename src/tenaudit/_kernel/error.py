"""The root of every error that tenaudit raises on its own account."""

from __future__ import annotations

__all__ = ["ConfigurationError", "TenauditError"]


class TenauditError(Exception):
    """Something in tenaudit failed.

    The docstring of a subclass is its default message, so the reference page and the message cannot drift.
    """

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or type(self).__name__).strip().splitlines()[0])


class ConfigurationError(TenauditError):
    """A setting or a wiring choice is wrong; the message names it and how to mend it."""
