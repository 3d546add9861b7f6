"""Text from outside on a terminal: shown as it is, never obeyed."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    r"""Return *text* with control characters, line breaks and direction marks written as escapes.

    Names of files and actors are chosen by others, and a terminal would act on what they hold.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in text)
