"""Ed25519 keys of signed notes, as one line of text each (C2SP signed-note, "Verifier keys"; its Go package).

A verifier key is `name+id+base64(0x01, public key)`, and whoever knows it can check. A signer key has
`PRIVATE+KEY+` before it and the seed in place of the public key: it is a secret, and no message repeats it.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from tenaudit._kernel.extras import MissingExtra
from tenaudit.audit.integrity.note import NoteError, NoteSigner, NoteVerifier, ed25519_key_id

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
except ImportError as error:
    raise MissingExtra("crypto", "cryptography") from error

if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["new_signer_key", "signer_from", "verifier_from", "verifier_key"]

_ED25519 = b"\x01"
_KEY_BYTES = 32
_MOST_CHARS = 1024
_ID = re.compile(r"[0-9a-f]{8}")
_SIGNER = "PRIVATE+KEY+"


def new_signer_key(name: str) -> str:
    """Return the text of a new signer key, which is a secret.

    Args:
        name: names the log or its operator to those who check, by habit a domain and a path; no spaces, no plus.

    Raises:
        NoteError: the name cannot stand in a note.

    Example:
        >>> key = new_signer_key("audit.example/prod")
        >>> signer_from(key).name, verifier_key(key).startswith("audit.example/prod+")
        ('audit.example/prod', True)
    """
    private = Ed25519PrivateKey.generate()
    key_id = ed25519_key_id(name, private.public_key().public_bytes_raw())
    # What makes a signer of it refuses a name that no note may have.
    text = _text(_SIGNER + name, key_id, private.private_bytes_raw())
    signer_from(text)
    return text


def signer_from(text: str) -> NoteSigner:
    """Return the signer of a key's text.

    Raises:
        NoteError: the text is no signer key; it is not repeated.
    """
    name, key_id, private = _private(text)
    return NoteSigner(name, key_id, private.sign)


def verifier_key(text: str) -> str:
    """Return the verifier key that belongs to a signer key: this is what is published.

    Raises:
        NoteError: the text is no signer key; it is not repeated.
    """
    name, key_id, private = _private(text)
    return _text(name, key_id, private.public_key().public_bytes_raw())


def verifier_from(text: str) -> NoteVerifier:
    """Return the verifier of a key's text.

    Raises:
        NoteError: the text is no verifier key.

    Example:
        >>> verifier_from("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").name
        'PeterNeumann'
    """
    if text.strip().startswith(_SIGNER):
        raise NoteError("key: this is a signer key, a secret; give the verifier key that belongs to it")
    name, key_id, raw = _parts(text.strip(), "verifier")
    if ed25519_key_id(name, raw) != key_id:
        _refuse("verifier", "its id is not that of its name and key")
    public = Ed25519PublicKey.from_public_bytes(raw)

    def verify(message: bytes, signature: bytes) -> bool:
        try:
            public.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return NoteVerifier(name, key_id, verify)


def _private(text: str) -> tuple[str, bytes, Ed25519PrivateKey]:
    stripped = text.strip()
    if not stripped.startswith(_SIGNER):
        _refuse("signer", f"it does not begin with {_SIGNER}")
    name, key_id, raw = _parts(stripped.removeprefix(_SIGNER), "signer")
    private = Ed25519PrivateKey.from_private_bytes(raw)
    if ed25519_key_id(name, private.public_key().public_bytes_raw()) != key_id:
        _refuse("signer", "its id is not that of its name and key")
    return name, key_id, private


def _text(name: str, key_id: bytes, key: bytes) -> str:
    return f"{name}+{key_id.hex()}+{base64.b64encode(_ED25519 + key).decode('ascii')}"


def _parts(text: str, kind: str) -> tuple[str, bytes, bytes]:
    if len(text) > _MOST_CHARS:
        _refuse(kind, f"it is longer than {_MOST_CHARS} characters")
    # A name has no plus, and base64 may have some.
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    if not name or _ID.fullmatch(key_id) is None:
        _refuse(kind, "it is not name+id+key with an id of 8 hex digits")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        _refuse(kind, "its key is not base64")
    if raw[:1] != _ED25519 or len(raw) != 1 + _KEY_BYTES:
        _refuse(kind, "its key is not one of Ed25519, 32 bytes behind a byte 1")
    return name, bytes.fromhex(key_id), raw[1:]


def _refuse(kind: str, why: str) -> NoReturn:
    raise NoteError(f"key: not the text of a {kind} key: {why}") from None
