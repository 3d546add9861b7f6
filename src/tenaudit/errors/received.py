"""Reading what another server sent as an error: nothing of it is believed, nothing of it raises."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["read_body", "seconds_of", "text_of"]

_SECONDS = re.compile(r"[0-9]{1,10}\Z")
_MAX_BODY = 64 * 1024


def text_of(*candidates: object) -> str | None:
    """Return the first candidate that is text."""
    return next((value for value in candidates if isinstance(value, str)), None)


def seconds_of(*candidates: object) -> int | None:
    """Return the first candidate that is whole seconds; a date in `Retry-After` is not read."""
    for value in candidates:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**10:
            return value
        if isinstance(value, str) and _SECONDS.match(value):
            return int(value)
    return None


def read_body(body: bytes | str | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the members of a JSON object; none for anything else, or for more than 64 KiB."""
    if isinstance(body, Mapping):
        return body
    if len(body) > _MAX_BODY:
        return {}
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
