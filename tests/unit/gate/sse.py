"""Server-sent events as a client reads them (WHATWG HTML section 9.2.6), one stream after another."""

from __future__ import annotations

from typing import Any

__all__ = ["EventSource"]


class EventSource:
    """Interprets a stream of bytes, cut anywhere; what is not ended by a blank line is dropped with the connection."""

    def __init__(self) -> None:
        self.last_event_id = ""
        self.data: list[str] = []
        self.comments = 0
        self.retry: int | None = None
        self.connect()

    def connect(self) -> None:
        self._left = b""
        self._data: list[str] = []
        self._id = self.last_event_id

    def feed(self, piece: bytes) -> None:
        *lines, self._left = (self._left + piece).split(b"\n")
        for line in lines:
            self._line(line.decode())

    def _line(self, line: str) -> None:
        if not line:
            self.last_event_id = self._id
            if self._data:
                self.data.append("\n".join(self._data))
            self._data = []
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        field: dict[str, Any] = {"": self._comment, "id": self._set_id, "data": self._data.append, "retry": self._retry}
        field[name](value)

    def _comment(self, _text: str) -> None:
        self.comments += 1

    def _set_id(self, value: str) -> None:
        self._id = value

    def _retry(self, value: str) -> None:
        self.retry = int(value)
