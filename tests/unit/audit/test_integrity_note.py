"""Signed notes: published examples, trusted and unknown keys, and what is not a note."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from tenaudit.audit.integrity import (
    MAX_NOTE_CHARS,
    MAX_SIGNATURES,
    NoteError,
    NoteSignature,
    NoteSigner,
    NoteVerifier,
    SignedNote,
    ed25519_key_id,
)

# The example of C2SP signed-note: its text holds a blank line of its own.
POEM = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n"
POEM_NOTE = (
    POEM + "\n— quasimodo.example/salvatore "
    "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
# The example of the Go package golang.org/x/mod/sumdb/note.
PETER_KEY = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:]
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
KEY_ID = b"\x00\x01\x02\x03"


def keyed(secret, name="log.example", key_id=KEY_ID):
    """A signer and its verifier; a keyed hash stands in for Ed25519."""

    def sign(message):
        return hmac.digest(secret, message, hashlib.sha256)

    return (
        NoteSigner(name, key_id, sign),
        NoteVerifier(name, key_id, lambda message, signature: hmac.compare_digest(sign(message), signature)),
    )


def test_the_text_of_the_published_example_keeps_its_blank_line():
    note = SignedNote.parse(POEM_NOTE)
    assert note.text == POEM
    assert [(each.name, each.key_id.hex()) for each in note.signatures] == [("quasimodo.example/salvatore", "367ba04b")]
    assert note.format() == POEM_NOTE


def test_key_id_of_the_published_ed25519_key():
    assert ed25519_key_id("PeterNeumann", PETER_KEY).hex() == "c74f20a3"
    assert SignedNote.parse(PETER_NOTE).signatures[0].key_id.hex() == "c74f20a3"


def test_a_signed_note_verifies_and_a_changed_text_does_not():
    signer, verifier = keyed(b"a")
    note = SignedNote("one\n\ntwo\n").signed_by(signer)
    assert SignedNote.parse(note.format()).verified_by([verifier]) == note.signatures
    with pytest.raises(NoteError, match=r"log\.example is bad"):
        SignedNote("one\n\nthree\n", note.signatures).verified_by([verifier])


def test_unknown_keys_are_ignored_even_if_name_or_id_is_known():
    signer, verifier = keyed(b"a")
    note = SignedNote("text\n")
    for stranger in (keyed(b"b", name="other")[0], keyed(b"b", key_id=b"9999")[0]):
        note = note.signed_by(stranger)
    with pytest.raises(NoteError, match="none is of a trusted key"):
        note.verified_by([verifier])
    assert note.signed_by(signer).verified_by([verifier]) == note.signed_by(signer).signatures[-1:]


def test_one_bad_signature_of_a_trusted_key_condemns_the_note():
    signer, verifier = keyed(b"a")
    forged = NoteSignature(signer.name, signer.key_id, b"forged")
    note = SignedNote("text\n").signed_by(signer)
    with pytest.raises(NoteError, match="is bad"):
        SignedNote(note.text, (*note.signatures, forged)).verified_by([verifier])


GOOD = NoteSignature("log.example", KEY_ID, b"s").line()


@pytest.mark.parametrize(
    ("note", "field"),
    [
        ("", "note"),
        ("text\n", "note"),
        ("text\n\n", "note"),
        (f"text\n\n{GOOD}", "note"),
        (f"text\n{GOOD}\n", "note"),
        (f"te\rxt\n\n{GOOD}\n", "text"),
        (f"te\x00xt\n\n{GOOD}\n", "text"),
        (f"te\ud800xt\n\n{GOOD}\n", "text"),
        (f"text\n\n{GOOD}\nnot a signature\n", "signatures"),
        (f"text\n\n{GOOD[1:]}\n", "signatures"),
        (f"text\n\n{GOOD}\r\n", "signatures"),
        (f"text\n\n{GOOD} \n", "signatures"),
        ("text\n\n— log.example\n", "signatures"),
        ("text\n\n— log.example A===\n", "signatures"),
        ("text\n\n— log.example AAECA3N=\n", "signatures"),
        ("text\n\n— log.example AAEC\n", "key_id"),
        ("text\n\n— log.example AAECAw==\n", "signature"),
        ("text\n\n—  AAECA3M=\n", "name"),
        ("text\n\n— a+b AAECA3M=\n", "name"),
        ("text\n\n— a\u00a0b AAECA3M=\n", "name"),
        ("text\n\n" + f"{GOOD}\n" * (MAX_SIGNATURES + 1), "signatures"),
        ("x" * MAX_NOTE_CHARS + f"\n\n{GOOD}\n", "note"),
    ],
)
def test_what_is_no_note_is_refused_by_field(note, field):
    with pytest.raises(NoteError, match=rf"^{field}: ") as caught:
        SignedNote.parse(note)
    assert caught.value.code == "invalid_note"


def test_as_many_signatures_as_the_bound_are_read():
    assert len(SignedNote.parse("text\n\n" + f"{GOOD}\n" * MAX_SIGNATURES).signatures) == MAX_SIGNATURES


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "x" * MAX_NOTE_CHARS + "\n"])
def test_a_text_that_cannot_stand_in_a_note_is_refused(text):
    with pytest.raises(NoteError, match=r"^text: "):
        SignedNote(text)


def test_a_note_without_signature_has_no_form():
    with pytest.raises(NoteError, match="at least one"):
        SignedNote("text\n").format()


def test_a_key_of_the_wrong_length_has_no_id():
    with pytest.raises(NoteError, match="public_key: must be 32 bytes"):
        ed25519_key_id("name", b"short")
    with pytest.raises(NoteError, match="key_id: must be 4 bytes"):
        NoteVerifier("name", b"short", lambda _message, _signature: True)
