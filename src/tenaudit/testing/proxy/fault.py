"""The faults as frozen values; what each does is a function of its fields and a position, never of a clock.

Positions count from the moment the fault reaches a connection, or from the connection's start if that is later.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from tenaudit._kernel.error import ConfigurationError

__all__ = [
    "Bandwidth",
    "Corrupt",
    "CutAfter",
    "Delay",
    "Direction",
    "Ending",
    "Fault",
    "HalfOpen",
    "Slice",
    "check_ending",
]

Direction = Literal["upstream", "downstream", "both"]
"""`upstream` runs from client to server, `downstream` from server to client."""

Ending = Literal["reset", "close"]
"""How a cut connection ends: `reset` sends RST, `close` sends FIN."""


def check_ending(ending: str) -> None:
    """Do nothing for an `Ending`.

    Raises:
        ConfigurationError: it is none.
    """
    if ending not in get_args(Ending):
        raise ConfigurationError(f"ending must be one of {get_args(Ending)}, got {ending!r}")


def _at_least(field: str, value: float, least: float) -> None:
    if not (math.isfinite(value) and value >= least):
        raise ConfigurationError(f"{field} must be a finite number of at least {least}, got {value!r}")


def _draw(seed: int, position: int) -> int:
    # A checksum, not random.Random: the same on every Python version, whatever was drawn before.
    return zlib.crc32(f"{seed}:{position}".encode())


@dataclass(frozen=True, slots=True)
class Delay:
    """Every read is held for *seconds* plus up to *jitter* seconds more.

    What arrives meanwhile waits in the kernel and is read as one: a byte waits between one and two delays.

    Example:
        >>> Delay(0.25).seconds_for(0)
        0.25
    """

    name: ClassVar[str] = "delay"
    seconds: float
    jitter: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least("seconds", self.seconds, 0)
        _at_least("jitter", self.jitter, 0)

    def seconds_for(self, read: int) -> float:
        """Seconds that the *read*-th read (from 0) is held."""
        return self.seconds + self.jitter * _draw(self.seed, read) / 2**32


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """Nothing is read and nothing is passed on, while every socket stays open.

    Example:
        >>> HalfOpen()
        HalfOpen()
    """

    name: ClassVar[str] = "half_open"


@dataclass(frozen=True, slots=True)
class Slice:
    """Pieces of *max_bytes* at most, *pause* seconds apart.

    Example:
        >>> Slice(max_bytes=1, pause=0.01).max_bytes
        1
    """

    name: ClassVar[str] = "slice"
    max_bytes: int
    pause: float = 0.0

    def __post_init__(self) -> None:
        _at_least("max_bytes", self.max_bytes, 1)
        _at_least("pause", self.pause, 0)


@dataclass(frozen=True, slots=True)
class Corrupt:
    """One bit is flipped in the last byte of each block of *every* bytes, or in the single byte at offset *at*.

    Exactly one of *every* and *at* is given; *seed* picks which of the eight bits.

    Example:
        >>> Corrupt(at=1).apply(b"abc") == b"abc"
        False
        >>> Corrupt(at=1).mask(0)
        0
    """

    name: ClassVar[str] = "corrupt"
    every: int | None = None
    at: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.every is None) == (self.at is None):
            raise ConfigurationError("corrupt needs exactly one of every and at")
        if self.every is not None:
            _at_least("every", self.every, 1)
        if self.at is not None:
            _at_least("at", self.at, 0)

    def mask(self, offset: int) -> int:
        """The value XORed into the byte at *offset*: 0 or one bit."""
        hit = offset == self.at if self.every is None else (offset + 1) % self.every == 0
        return 1 << (_draw(self.seed, offset) & 7) if hit else 0

    def hits(self, start: int, size: int) -> range:
        """Offsets hit among the *size* bytes from offset *start*."""
        if self.every is not None:
            first = start + (-(start + 1)) % self.every
            return range(first, start + size, self.every)
        at = -1 if self.at is None else self.at
        return range(at, at + 1) if start <= at < start + size else range(0)

    def apply(self, data: bytes, start: int = 0) -> bytes:
        """*data*, which begins at offset *start* of the stream, with its hit bytes flipped."""
        hits = self.hits(start, len(data))
        if not hits:
            return data
        flipped = bytearray(data)
        for offset in hits:
            flipped[offset - start] ^= self.mask(offset)
        return bytes(flipped)


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Each connection passes *bytes_per_second* at most.

    Example:
        >>> Bandwidth(1000).seconds_for(250)
        0.25
    """

    name: ClassVar[str] = "bandwidth"
    bytes_per_second: int

    def __post_init__(self) -> None:
        _at_least("bytes_per_second", self.bytes_per_second, 1)

    @property
    def quantum(self) -> int:
        """Bytes passed at once: a twentieth of a second's worth."""
        return max(1, self.bytes_per_second // 20)

    def seconds_for(self, size: int) -> float:
        """Seconds that *size* bytes take."""
        return size / self.bytes_per_second


@dataclass(frozen=True, slots=True)
class CutAfter:
    """The connection is cut once *size* bytes were passed on; 0 cuts at the first byte that arrives.

    A reset drops what a slow peer's kernel has not taken yet, as a crash does; `close` still delivers it.

    Example:
        >>> CutAfter(16, ending="close").ending
        'close'
    """

    name: ClassVar[str] = "cut"
    size: int
    ending: Ending = "reset"

    def __post_init__(self) -> None:
        _at_least("size", self.size, 0)
        check_ending(self.ending)


Fault = Delay | HalfOpen | Slice | Corrupt | Bandwidth | CutAfter
"""A fault that `inject` takes."""
