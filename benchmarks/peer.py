"""Peers that may not be installed: said visibly, and left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.rounds import Contender

__all__ = ["Peer", "installed"]


class Peer(NamedTuple):
    """One peer of a case.

    Attributes:
        name: what reports call it.
        package: what to install for it.
        build: imports it and sets it up.
    """

    name: str
    package: str
    build: Callable[[], Contender]


def installed(peers: Iterable[Peer], note: Callable[[str], None]) -> list[Contender]:
    """Build the peers that can be built, and tell *note* of every other."""
    built = []
    for peer in peers:
        try:
            built.append(peer.build())
        except ModuleNotFoundError:
            note(f"peer {peer.name} not installed: pip install {peer.package}")
        except ImportError as error:
            note(f"peer {peer.name} left out, its installed version has another API: {error}")
    return built
