"""Why PostgreSQL let nobody in, in words that repeat nothing of the DSN."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from tenaudit._kernel.extras import MissingExtra

try:
    import asyncpg
except ImportError as error:
    raise MissingExtra("postgres", "asyncpg") from error

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["login_problem"]

# By SQLSTATE (PostgreSQL's documentation, appendix A): what it says, and how to mend it.
_PROBLEMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "28P01": ("PostgreSQL refuses the user or the password", "check both"),
        "28000": ("PostgreSQL does not let the user in", "check the user's name, that it has LOGIN, and pg_hba.conf"),
        "3D000": ("PostgreSQL has no such database", "check its name, or create it"),
        "53300": (
            "PostgreSQL has no connection left",
            "raise max_connections or the user's CONNECTION LIMIT, or close what is open",
        ),
    }
)


def login_problem(error: BaseException) -> str | None:
    """Return why no connection was made, None when it was made or failed for another reason.

    >>> login_problem(OSError("no route to host"))
    """
    if isinstance(error, asyncpg.ClientConfigurationError):
        return "the DSN has a setting that asyncpg cannot use; check its sslmode, its files and what follows the ?"
    state = getattr(error, "sqlstate", None) or ""
    if state not in _PROBLEMS:
        return None
    what, mend = _PROBLEMS[state]
    return f"{what} ({state}); {mend}"
