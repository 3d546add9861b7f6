"""One error code as a service declares it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DeclaredError"]


@dataclass(frozen=True, slots=True)
class DeclaredError:
    """One code with its status and the sentence its docs page shows.

    Example:
        >>> DeclaredError("order_closed", 409, "The order is closed.").status
        409
    """

    code: str
    status: int
    description: str
