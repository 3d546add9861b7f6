"""Checkpoints of a log: origin, size and root, as C2SP tlog-checkpoint note text.

Rules of this file: pure; parsing is strict, linear and bounded, and what is parsed formats to the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from tenaudit._kernel.error import TenauditError
from tenaudit.audit.integrity.merkle import HASH_BYTES
from tenaudit.audit.integrity.note import MAX_NOTE_CHARS

__all__ = ["MAX_TREE_SIZE", "Checkpoint", "CheckpointError", "parse_body"]

MAX_TREE_SIZE = 2**63 - 1
"""Largest size read or written: what a signed 64-bit column holds."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x1f]")


class CheckpointError(TenauditError, ValueError):
    """The text is not a checkpoint (C2SP tlog-checkpoint)."""

    code = "invalid_checkpoint"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    r"""A tree head that a log stands by.

    >>> Checkpoint("logs.example/a", 0, bytes(32)).body()
    'logs.example/a\n0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n'

    Attributes:
        origin: unique name of the log, by habit a URL without scheme.
        size: number of leaves.
        root: root hash at that size, 32 bytes.
        extensions: further lines, opaque; a reader may ignore them.

    Raises:
        CheckpointError: a field cannot stand in a checkpoint; the message names it.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "extensions", tuple(self.extensions))
        _check_line("origin", self.origin)
        for line in self.extensions:
            _check_line("extensions", line)
        if isinstance(self.size, bool) or not 0 <= self.size <= MAX_TREE_SIZE:
            raise CheckpointError(f"size: must be 0 to {MAX_TREE_SIZE}")
        if len(self.root) != HASH_BYTES:
            raise CheckpointError(f"root: must be {HASH_BYTES} bytes")

    def body(self) -> str:
        """Return the note text: a line each for origin, decimal size, base64 root and every extension."""
        root = base64.b64encode(self.root).decode("ascii")
        return "".join(f"{line}\n" for line in (self.origin, str(self.size), root, *self.extensions))


def parse_body(text: str) -> Checkpoint:
    """Read a checkpoint's note text.

    Raises:
        CheckpointError: a line is missing, empty or not in its one valid form, or the text is longer than
            `MAX_NOTE_CHARS`.
    """
    if len(text) > MAX_NOTE_CHARS:
        raise CheckpointError(f"body: longer than {MAX_NOTE_CHARS} characters")
    *lines, rest = text.split("\n")
    if rest or len(lines) < 3:
        raise CheckpointError("body: needs origin, size and root, each a line that ends in a newline")
    origin, size, root, *extensions = lines
    if _DECIMAL.fullmatch(size) is None:
        raise CheckpointError("size: not a plain decimal number")
    return Checkpoint(origin, int(size), _parse_root(root), tuple(extensions))


def _parse_root(line: str) -> bytes:
    try:
        root = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise CheckpointError("root: not base64") from None
    # Stray bits behind the last byte would let two texts mean one checkpoint.
    if base64.b64encode(root).decode("ascii") != line:
        raise CheckpointError("root: not canonical base64")
    return root


def _check_line(field: str, line: str) -> None:
    if not line or _CONTROL.search(line):
        raise CheckpointError(f"{field}: a line is not empty and has no control characters")
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        raise CheckpointError(f"{field}: a lone surrogate is not text") from None
