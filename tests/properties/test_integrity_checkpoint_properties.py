"""Checkpoints and notes: what is written reads back, and what is read writes back byte for byte."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from tenaudit.audit.integrity import (
    MAX_TREE_SIZE,
    Checkpoint,
    CheckpointError,
    NoteError,
    NoteSignature,
    SignedNote,
    parse_body,
)

lines = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), min_size=1, max_size=20)
names = st.text(
    st.characters(min_codepoint=0x21, exclude_categories=["Cs", "Z", "Cc"], exclude_characters="+"), min_size=1
)
roots = st.binary(min_size=32, max_size=32)
checkpoints = st.builds(Checkpoint, lines, st.integers(0, MAX_TREE_SIZE), roots, st.lists(lines, max_size=3).map(tuple))
signatures = st.builds(NoteSignature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80))
texts = st.lists(lines | st.just(""), min_size=1, max_size=5).map(lambda parts: "\n".join(parts) + "\n")
notes = st.builds(SignedNote, texts, st.lists(signatures, min_size=1, max_size=4).map(tuple))


@given(checkpoints)
@example(Checkpoint("log\u2028a\x85b", 0, bytes(32), ("\x7f",)))
def test_checkpoints_read_back(checkpoint):
    assert parse_body(checkpoint.body()) == checkpoint


@given(notes)
@example(SignedNote("\n", (NoteSignature("n", b"0123", b"s"),)))
@example(SignedNote("text\n\n", (NoteSignature("n", b"0123", b"s"),)))
def test_notes_read_back(note):
    assert SignedNote.parse(note.format()) == note


@given(checkpoints.map(Checkpoint.body), st.integers(0, 200), st.sampled_from(["", "0", "\n", " ", "=", "A", "é"]))
def test_one_wrong_character_is_refused_or_means_something_else(body, place, character):
    changed = body[:place] + character + body[place + 1 :]
    try:
        checkpoint = parse_body(changed)
    except CheckpointError:
        return
    assert checkpoint.body() == changed


@given(notes.map(SignedNote.format), st.integers(0, 200), st.sampled_from(["", "\n", "\n\n", " ", "=", "A", "—"]))
def test_a_changed_note_is_refused_or_writes_back(note, place, character):
    changed = note[:place] + character + note[place + 1 :]
    try:
        parsed = SignedNote.parse(changed)
    except NoteError:
        return
    assert parsed.format() == changed


@given(st.text())
def test_noise_gives_the_one_error(text):
    for parse, error in ((parse_body, CheckpointError), (SignedNote.parse, NoteError)):
        try:
            parse(text)
        except error:
            continue
