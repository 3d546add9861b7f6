"""Which media type an Accept header asks for (RFC 9110 section 12.5.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Accept"]

# More ranges than this say nothing that a client means; the rest is not read.
_RANGES_READ = 32
_CHARACTERS_READ = 8192
# A comma or a semicolon inside a quoted string separates nothing (RFC 9110 section 5.6.4). One without an end goes to
# the end: looking for its end from every quote would cost the square of the header's length.
_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
# RFC 9110 section 12.4.2, and what clients really send: more than three digits, and ".2" for "0.2".
_WEIGHT = re.compile(r"(?:0?\.[0-9]{1,12}|0\.?|1(?:\.0{0,12})?)\Z")


class Accept:
    """The weights of an Accept header, read once.

    The most specific range that fits a type gives its weight: `type/subtype`, then `type/*`, then `*/*`. Parameters
    of a range are not compared, since the types of this package have none; a range without them counts before one
    with them. A range whose weight is out of form is not there. Without any range everything is accepted.

    Args:
        header: the field's value; several fields joined by commas.

    Example:
        >>> accept = Accept("application/*;q=0.5, application/json;q=0")
        >>> accept.weight("application/problem+json"), accept.weight("application/json"), accept.weight("text/html")
        (0.5, 0.0, 0.0)
    """

    __slots__ = ("_ranges",)

    def __init__(self, header: str) -> None:
        # By range: whether it had no parameters, which counts more, and its weight.
        self._ranges: dict[str, tuple[bool, float]] = {}
        for media, bare, weight in _ranges(header):
            self._ranges[media] = max(self._ranges.get(media, (False, 0.0)), (bare, weight))

    def weight(self, media_type: str) -> float:
        """Return how much *media_type* is wanted, 0 to 1; 0 is not at all."""
        kind = media_type.partition("/")[0]
        for media in (media_type, f"{kind}/*", "*/*"):
            found = self._ranges.get(media)
            if found is not None:
                return found[1]
        return 0.0 if self._ranges else 1.0

    def names(self, media_type: str) -> bool:
        """Tell whether *media_type* itself is there, not only a range around it."""
        return media_type in self._ranges

    def best(self, *offers: str) -> str | None:
        """Return the offer that is wanted most, None when none is wanted.

        Among equals one that is named comes before one that only fits a range, then the order of *offers* decides.

        Example:
            >>> Accept("text/html, */*;q=0.8").best("text/plain", "application/json")
            'text/plain'
        """
        wanted = max(offers, key=lambda offer: (self.weight(offer), self.names(offer)))
        return wanted if self.weight(wanted) > 0 else None


def _ranges(header: str) -> Iterator[tuple[str, bool, float]]:
    for part in _QUOTED.sub('""', header[:_CHARACTERS_READ]).split(",", _RANGES_READ)[:_RANGES_READ]:
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight, bare = 1.0, True
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.rstrip() == "q":
                weight = float(value) if _WEIGHT.match(value := value.lstrip()) else -1.0
                break
            bare = bare and not name
        if "/" in media and weight >= 0:
            yield media, bare, weight
