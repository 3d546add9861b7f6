"""The text of signing keys: published ones, the way back, and what is none."""

from __future__ import annotations

import base64
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit.integrity import NoteError, SignedNote
from tenaudit.audit.integrity.note_keys import new_signer_key, signer_from, verifier_from, verifier_key
from tests.unit.audit.test_integrity_note import PETER_NOTE

# The example of the Go package golang.org/x/mod/sumdb/note.
PETER_SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_the_published_signer_key_signs_the_published_note():
    text = SignedNote.parse(PETER_NOTE).text
    assert SignedNote(text).signed_by(signer_from(PETER_SIGNER)).format() == PETER_NOTE
    assert verifier_key(PETER_SIGNER) == PETER_VERIFIER


def test_the_published_verifier_key_verifies_the_published_note_and_no_other_text():
    note = SignedNote.parse(PETER_NOTE)
    assert note.verified_by([verifier_from(f"  {PETER_VERIFIER}\n")]) == note.signatures
    with pytest.raises(NoteError, match="PeterNeumann is bad"):
        SignedNote(note.text + "more\n", note.signatures).verified_by([verifier_from(PETER_VERIFIER)])


def test_new_keys_differ_and_only_their_own_verifier_takes_what_they_sign():
    keys = [new_signer_key("audit.example/prod") for _ in range(2)]
    note = SignedNote("text\n").signed_by(signer_from(keys[0]))
    assert note.verified_by([verifier_from(verifier_key(keys[0]))]) == note.signatures
    with pytest.raises(NoteError, match="none is of a trusted key"):
        note.verified_by([verifier_from(verifier_key(keys[1]))])


def _with_key(raw):
    return f"PeterNeumann+c74f20a3+{base64.b64encode(raw).decode()}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "name"),
        ("PeterNeumann", "name"),
        ("+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "name"),
        ("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "8 hex digits"),
        ("PeterNeumann+c74f20a3+!", "not base64"),
        (_with_key(b"\x01" + bytes(31)), "32 bytes"),
        (_with_key(b"\x04" + bytes(32)), "32 bytes"),
        (_with_key(b"\x01" + bytes(32)), "id is not that"),
        ("PeterNeumanm+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "id is not that"),
        ("x" * 2000, "longer than"),
    ],
)
def test_what_is_no_key_is_refused_with_the_reason(text, why):
    with pytest.raises(NoteError, match=why):
        verifier_from(text)
    with pytest.raises(NoteError, match=why):
        signer_from(f"PRIVATE+KEY+{text}")


def test_a_signer_key_is_refused_as_verifier_key_and_the_other_way_round_without_being_told():
    with pytest.raises(NoteError, match="a secret") as taken:
        verifier_from(PETER_SIGNER)
    assert "AYEKFAL" not in "".join(traceback.format_exception(taken.value))
    with pytest.raises(NoteError, match=r"begin with PRIVATE\+KEY\+"):
        signer_from(PETER_VERIFIER)


@pytest.mark.parametrize("name", ["", "with space", "with+plus", "with\nline", "\ud800"])
def test_a_name_that_no_note_may_have_makes_no_key(name):
    with pytest.raises(NoteError):
        new_signer_key(name)


@given(st.text(max_size=120))
def test_no_text_raises_anything_else(text):
    for read in (verifier_from, signer_from, verifier_key):
        with pytest.raises(NoteError):
            read(text)
        with pytest.raises(NoteError):
            read(f"PRIVATE+KEY+name+{text}")
