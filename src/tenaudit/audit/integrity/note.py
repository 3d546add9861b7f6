"""Signed notes (C2SP signed-note): text, a blank line, and a line for each signature.

Rules of this file: pure; no crypto library. Signing and checking are callables of the caller, so that keys
live where they must (memory, a KMS, an HSM) and the format is the only subject here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tenaudit._kernel.error import TenauditError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "MAX_NOTE_CHARS",
    "MAX_SIGNATURES",
    "NoteError",
    "NoteSignature",
    "NoteSigner",
    "NoteVerifier",
    "SignedNote",
    "ed25519_key_id",
]

MAX_NOTE_CHARS = 1_000_000
MAX_SIGNATURES = 100

_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_ED25519_KEY_BYTES = 32
_DASH = "\u2014 "
_CONTROL_BUT_NEWLINE = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NOT_IN_A_NAME = re.compile(r"[\s+\x00-\x1f]")


class NoteError(TenauditError, ValueError):
    """The text is not a signed note, or no trusted key has signed it."""

    code = "invalid_note"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    r"""One signature line: who signed, with which key, and the signature.

    >>> NoteSignature("log.example", b"\x00\x00\x00\x01", b"\xff").line()
    '— log.example AAAAAf8='

    Raises:
        NoteError: the name is empty or holds a space or plus, the key id is not 4 bytes, or the signature is
            empty.
    """

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        _check_key(self.name, self.key_id)
        if not self.signature:
            raise NoteError("signature: is empty")

    def line(self) -> str:
        """Return the line without its newline."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.signature).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class NoteSigner:
    r"""A key that signs: its public name and id, and the callable that makes a signature.

    >>> signer = NoteSigner("log.example", b"abcd", lambda message: b"signed " + message)
    >>> SignedNote("text\n").signed_by(signer).signatures[0].signature
    b'signed text\n'
    """

    name: str
    key_id: bytes
    sign: Callable[[bytes], bytes]

    def __post_init__(self) -> None:
        _check_key(self.name, self.key_id)


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    """A key that is trusted: its name and id, and the callable (message, signature) -> is it good.

    >>> NoteVerifier("log.example", b"abcd", lambda message, signature: False).name
    'log.example'
    """

    name: str
    key_id: bytes
    verify: Callable[[bytes, bytes], bool]

    def __post_init__(self) -> None:
        _check_key(self.name, self.key_id)


@dataclass(frozen=True, slots=True)
class SignedNote:
    r"""Text with its signatures. The text means nothing before `verified_by` has returned.

    >>> note = SignedNote("text\n").signed_by(NoteSigner("log.example", b"abcd", lambda message: b"s"))
    >>> SignedNote.parse(note.format()) == note
    True

    Attributes:
        text: ends in a newline, has no other control characters.
        signatures: in the order of their lines.

    Raises:
        NoteError: the text cannot stand in a note, or there are more than `MAX_SIGNATURES`.
    """

    text: str
    signatures: tuple[NoteSignature, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "signatures", tuple(self.signatures))
        if len(self.text) > MAX_NOTE_CHARS:
            raise NoteError(f"text: longer than {MAX_NOTE_CHARS} characters")
        if not self.text.endswith("\n"):
            raise NoteError("text: does not end in a newline")
        if _CONTROL_BUT_NEWLINE.search(self.text):
            raise NoteError("text: holds a control character")
        _utf8(self.text, "text")
        if len(self.signatures) > MAX_SIGNATURES:
            raise NoteError(f"signatures: more than {MAX_SIGNATURES}")

    @classmethod
    def parse(cls, note: str) -> SignedNote:
        """Read a note; the last blank line parts text and signatures.

        Raises:
            NoteError: the note is not in the one valid form, or beyond a bound.
        """
        if len(note) > MAX_NOTE_CHARS:
            raise NoteError(f"note: longer than {MAX_NOTE_CHARS} characters")
        if not note.endswith("\n"):
            raise NoteError("note: does not end in a newline")
        head, blank, tail = note.rpartition("\n\n")
        if not blank or not tail:
            raise NoteError("note: has no signature")
        lines = tail[:-1].split("\n", MAX_SIGNATURES)
        return cls(head + "\n", tuple(_parse_line(line) for line in lines))

    def format(self) -> str:
        """Return the whole note.

        Raises:
            NoteError: there is no signature yet.
        """
        if not self.signatures:
            raise NoteError("signatures: a note has at least one")
        return f"{self.text}\n" + "".join(f"{each.line()}\n" for each in self.signatures)

    def signed_by(self, signer: NoteSigner) -> SignedNote:
        """Return the note with one more signature, over the UTF-8 bytes of the text."""
        signature = NoteSignature(signer.name, signer.key_id, signer.sign(self.text.encode("utf-8")))
        return replace(self, signatures=(*self.signatures, signature))

    def verified_by(self, trusted: Iterable[NoteVerifier]) -> tuple[NoteSignature, ...]:
        """Return the good signatures of trusted keys, at least one; those of unknown keys are ignored.

        Raises:
            NoteError: a trusted key's signature is bad, or no trusted key has signed.
        """
        keys = {(key.name, key.key_id): key for key in trusted}
        message = self.text.encode("utf-8")
        good: list[NoteSignature] = []
        for each in self.signatures:
            key = keys.get((each.name, each.key_id))
            if key is None:
                continue
            if not key.verify(message, each.signature):
                raise NoteError(f"signatures: the one of {each.name} is bad")
            good.append(each)
        if not good:
            raise NoteError("signatures: none is of a trusted key")
        return tuple(good)


def ed25519_key_id(name: str, public_key: bytes) -> bytes:
    """Return the 4-byte id of an Ed25519 key: the start of SHA-256(name, newline, 0x01, key).

    Raises:
        NoteError: the public key is not 32 bytes.
    """
    if len(public_key) != _ED25519_KEY_BYTES:
        raise NoteError(f"public_key: must be {_ED25519_KEY_BYTES} bytes")
    return hashlib.sha256(_utf8(name, "name") + b"\n" + _ED25519 + public_key).digest()[:_KEY_ID_BYTES]


def _parse_line(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise NoteError("signatures: a line is a dash, a name and base64")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("signatures: not base64") from None
    if base64.b64encode(raw).decode("ascii") != encoded:
        raise NoteError("signatures: not canonical base64")
    return NoteSignature(name, raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:])


def _check_key(name: str, key_id: bytes) -> None:
    if not name or _NOT_IN_A_NAME.search(name):
        raise NoteError("name: a key name is not empty and has no spaces, plus or control characters")
    _utf8(name, "name")
    if len(key_id) != _KEY_ID_BYTES:
        raise NoteError(f"key_id: must be {_KEY_ID_BYTES} bytes")


def _utf8(text: str, field: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise NoteError(f"{field}: a lone surrogate is not text") from None
