"""What `tenaudit audit export` can write: the trail's own formats, and the shapes of other systems."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tenaudit.audit.export import EXPORT_FORMATS
from tenaudit.audit.mappers import to_cloudevents, to_ecs, to_ocsf

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tenaudit.audit import AuditEvent

__all__ = ["DEFAULT_SHAPE", "SHAPES", "Shape"]

DEFAULT_SHAPE = "ndjson"


class Shape(NamedTuple):
    """One way to write events.

    Args:
        head: the bytes before the first event.
        line: makes the bytes of one event.
        end: makes the bytes that say how many there were; None where every line is one of another system's records,
            which could be taken for one.
    """

    head: bytes
    line: Callable[[AuditEvent], bytes]
    end: Callable[[int], bytes] | None


def _own(name: str) -> Shape:
    chosen = EXPORT_FORMATS[name]
    return Shape(chosen.head, lambda event: chosen.line(event.record()), chosen.end)


def _mapped(mapper: Callable[[AuditEvent], Mapping[str, Any]]) -> Shape:
    def line(event: AuditEvent) -> bytes:
        return f"{json.dumps(mapper(event), ensure_ascii=False, separators=(',', ':'))}\n".encode()

    return Shape(b"", line, None)


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        **{name: _own(name) for name in EXPORT_FORMATS},
        "cloudevents": _mapped(to_cloudevents),
        "ecs": _mapped(to_ecs),
        "ocsf": _mapped(to_ocsf),
    }
)
"""Every one, by the name that `--format` takes."""
