"""The root of every error that tenaudit raises on its own account."""

from __future__ import annotations

__all__ = ["ConfigurationError", "TenauditError", "loggable"]


class TenauditError(Exception):
    """Something in tenaudit failed.

    The docstring of a subclass is its default message, so the reference page and the message cannot drift.

    Args:
        message: what failed.
        reason: why, in words that may be logged: no secret, and nothing of an event; empty when there are none.
    """

    reason: str = ""

    def __init__(self, message: str | None = None, *, reason: str = "") -> None:
        super().__init__(message or (self.__doc__ or type(self).__name__).strip().splitlines()[0])
        if reason:
            self.reason = reason


class ConfigurationError(TenauditError):
    """A setting or a wiring choice is wrong; the message names it and how to mend it."""


def loggable(error: BaseException) -> dict[str, str]:
    """Return what a log may say of an error: its type and, where it is ours and has one, its reason.

    >>> loggable(TenauditError("not now", reason="no answer in time"))
    {'error': 'TenauditError', 'reason': 'no answer in time'}
    >>> loggable(ValueError("a secret"))
    {'error': 'ValueError'}
    """
    told = {"error": type(error).__name__}
    return told | {"reason": error.reason} if isinstance(error, TenauditError) and error.reason else told
