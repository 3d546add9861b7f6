"""What middleware and route know of one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenaudit.gate import Admission, Identity

__all__ = ["EXCHANGE", "Exchange"]

# The key of the exchange in the ASGI scope.
EXCHANGE = "tenaudit.exchange"


class Exchange:
    """What middleware and route know of one request: the first writes it, the second adds the route."""

    __slots__ = ("admission", "identity", "rate_headers", "template")

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.template: str | None = None
        self.admission: Admission | None = None
        self.rate_headers: list[tuple[bytes, bytes]] = []
