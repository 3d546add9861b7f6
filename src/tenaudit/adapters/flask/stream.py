"""A body that is made while it is sent, over WSGI: each piece is waited for on the portal's loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response

from tenaudit.adapters.flask.portal import GRACE, PORTAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenaudit.gate import StreamedReply

__all__ = ["streamed_response"]


def streamed_response(reply: StreamedReply) -> Response:
    """Return a streamed reply as Flask's response, which the server closes however the request ends (PEP 3333)."""
    return Response(_Pieces(reply), reply.status, list(reply.headers), direct_passthrough=True)


class _Pieces:
    """The pieces of a reply as WSGI wants them."""

    __slots__ = ("_reply",)

    def __init__(self, reply: StreamedReply) -> None:
        self._reply = reply

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = PORTAL.run(self._reply.piece(), self._reply.step_seconds + GRACE)
        if piece is None:
            raise StopIteration
        return piece

    def close(self) -> None:
        """End the body where it is; werkzeug calls it also when no piece was wanted, as of HEAD."""
        PORTAL.run(self._reply.aclose(), self._reply.step_seconds + GRACE)
