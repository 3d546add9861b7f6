"""The address that an event came from, where its payload tells one in a known place."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PLACES", "source_ip"]

PLACES = ("client_ip", "sourceIPAddress", "sourceIPs", "actor_ip")
"""Names of payload fields: our own, CloudTrail's, Kubernetes' and GitHub's."""

_LONGEST = 45


def source_ip(payload: Mapping[str, Any]) -> str | None:
    """Return the first address; CloudTrail also puts names of services there, which are none.

    >>> source_ip({"sourceIPs": ["2001:db8::1", "10.0.0.1"]}), source_ip({"sourceIPAddress": "ec2.amazonaws.com"})
    ('2001:db8::1', None)
    """
    for place in PLACES:
        value = payload.get(place)
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, str) and len(first) <= _LONGEST and "%" not in first:
            try:
                return str(ip_address(first))
            except ValueError:
                continue
    return None
