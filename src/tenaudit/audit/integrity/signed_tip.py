"""A tenant's checkpoint with all that shows that it was signed: its place in the log of all logs, and the note.

Rules of this file: pure; rounds come from wherever they are kept, and may be many, so they are gone through and never
held.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenaudit.audit.integrity.checkpoint import Checkpoint, CheckpointError, parse_body
from tenaudit.audit.integrity.log_of_logs import ALL_LOGS, RoundError, tenant_of
from tenaudit.audit.integrity.merkle import HASH_BYTES, CompactRange, leaf_hash
from tenaudit.audit.integrity.note import NoteError, SignedNote
from tenaudit.audit.integrity.proof import inclusion_spans, verify_inclusion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from uuid import UUID

    from tenaudit.audit.integrity.log_of_logs import SealedRound
    from tenaudit.audit.integrity.note import NoteVerifier

__all__ = ["MAX_PATH", "SignedTip", "hash_of", "path_of", "signed_tip"]

MAX_PATH = 64
"""The most hashes that a path can have: sizes are below 2**63."""

_RUN = 1024


@dataclass(frozen=True, slots=True)
class SignedTip:
    """The newest signed checkpoint of a tenant's log, and the proof of it. It means nothing before `verified_by`.

    Example:
        >>> from tenaudit.audit.integrity import CompactRange, signed_round
        >>> from tenaudit.audit.integrity.note_keys import new_signer_key, signer_from, verifier_from, verifier_key
        >>> from tenaudit.testing.conformance.events import TENANT
        >>> key = new_signer_key("audit.example/prod")
        >>> body = Checkpoint(f"tenaudit/tenant/{TENANT}", 1, bytes(32)).body()
        >>> sealed, _ = signed_round(CompactRange(), [body], signer_from(key))
        >>> tip = signed_tip(lambda: [sealed], TENANT)
        >>> tip.verified_by([verifier_from(verifier_key(key))]).size
        1

    Attributes:
        body: text of the tenant's checkpoint.
        index: its place in the log of all logs.
        path: hashes from it up to the root that the note speaks of (RFC 9162 section 2.1.3).
        note: the signed checkpoint of the log of all logs.
    """

    body: str
    index: int
    path: tuple[bytes, ...]
    note: str

    def verified_by(self, trusted: Iterable[NoteVerifier]) -> Checkpoint:
        """Return the tenant's checkpoint, now that it is known to be signed.

        Raises:
            RoundError: no trusted key has signed the note, it speaks of another log, the path does not lead there, or
                the checkpoint is of no tenant's log.
        """
        try:
            note = SignedNote.parse(self.note)
            note.verified_by(trusted)
            said, tip = parse_body(note.text), parse_body(self.body)
        except (NoteError, CheckpointError) as error:
            raise RoundError(f"the signed checkpoint: {error}") from None
        if said.origin != ALL_LOGS:
            raise RoundError(f"the signed checkpoint speaks of {said.origin!r} and not of {ALL_LOGS}")
        if not verify_inclusion(leaf_hash(self.body.encode()), self.index, said.size, self.path, said.root):
            raise RoundError("the tenant's checkpoint is not in the log of all logs that was signed")
        if tenant_of(tip.origin) is None:
            raise RoundError(f"{tip.origin!r} is no tenant's log")
        return tip

    def to_json(self) -> dict[str, Any]:
        """Return `{"checkpoint", "index", "path", "note"}`, hashes in base64."""
        path = [base64.b64encode(one).decode("ascii") for one in self.path]
        return {"checkpoint": self.body, "index": self.index, "path": path, "note": self.note}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> SignedTip:
        """Read what `to_json` wrote.

        Raises:
            ValueError: a member is missing or has another form; the message names it.
        """
        body, index, note = found.get("checkpoint"), found.get("index"), found.get("note")
        for name, text in (("checkpoint", body), ("note", note)):
            if not isinstance(text, str) or not _is_text(text):
                raise ValueError(f"{name}: is no text")
        if type(index) is not int or index < 0:
            raise ValueError("index: is no whole number")
        return cls(str(body), index, path_of(found.get("path")), str(note))


def signed_tip(rounds: Callable[[], Iterable[SealedRound]], tenant_id: UUID) -> SignedTip | None:
    """Return the newest checkpoint of a tenant that rounds have, with the note of its round; None without any.

    Nothing of the signatures is checked: that is for whoever has the key.

    Args:
        rounds: gives all rounds from the first; it is called twice.
        tenant_id: whose log.

    Raises:
        RoundError: a round does not begin where the one before ended.
    """
    start = f"tenaudit/tenant/{tenant_id}\n"
    size, found = 0, None
    for sealed in rounds():
        if sealed.first != size:
            raise RoundError(f"a round begins behind {sealed.first} checkpoints, and there are {size}")
        size += len(sealed.bodies)
        for index, body in enumerate(sealed.bodies, sealed.first):
            if body.startswith(start):
                found = (body, index, sealed.note, size)
    if found is None:
        return None
    body, index, note, size = found
    return SignedTip(body, index, _path(rounds(), index, size), note)


def _path(rounds: Iterable[SealedRound], index: int, size: int) -> tuple[bytes, ...]:
    spans = inclusion_spans(index, size)
    trees = dict.fromkeys(spans, CompactRange())
    waiting, run = sorted(spans, reverse=True), list[bytes]()
    for sealed in rounds:
        for number, body in enumerate(sealed.bodies, sealed.first):
            if not waiting:
                break
            span = waiting[-1]
            if number >= span[0]:
                run.append(leaf_hash(body.encode()))
                if len(run) == _RUN or number == span[1] - 1:
                    trees[span] = trees[span].extend(run)
                    run.clear()
                if number == span[1] - 1:
                    waiting.pop()
    return tuple(trees[span].root() for span in spans)


def path_of(found: Any) -> tuple[bytes, ...]:
    """Return the hashes of a path in JSON.

    Raises:
        ValueError: it is no list of at most `MAX_PATH` hashes in base64.
    """
    if not isinstance(found, list) or len(found) > MAX_PATH:
        raise ValueError(f"path: is no list of at most {MAX_PATH} hashes")
    return tuple(hash_of(one, "path") for one in found)


def hash_of(found: Any, name: str) -> bytes:
    """Return a hash that stands in JSON in base64.

    Raises:
        ValueError: it is none.
    """
    try:
        raw = base64.b64decode(found, validate=True) if isinstance(found, str) else b""
    except (binascii.Error, ValueError):
        raw = b""
    # Stray bits behind the last byte would let two texts mean one hash.
    if len(raw) != HASH_BYTES or base64.b64encode(raw).decode("ascii") != found:
        raise ValueError(f"{name}: is no hash of {HASH_BYTES} bytes in base64")
    return raw


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
