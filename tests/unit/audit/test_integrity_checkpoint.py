"""Checkpoints: the published example of C2SP tlog-checkpoint, and what is not one."""

from __future__ import annotations

import base64

import pytest

from tenaudit.audit.integrity import (
    MAX_NOTE_CHARS,
    MAX_TREE_SIZE,
    Checkpoint,
    CheckpointError,
    SignedNote,
    parse_body,
)

ROOT = base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
BODY = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
NOTE = (
    BODY + "\n— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)


def test_the_published_example():
    checkpoint = Checkpoint("example.com/behind-the-sofa", 20852163, ROOT)
    assert parse_body(BODY) == checkpoint
    assert checkpoint.body() == BODY
    note = SignedNote.parse(NOTE)
    assert parse_body(note.text) == checkpoint
    assert note.signatures[0].key_id.hex() == "033de0ae"
    assert len(note.signatures[0].signature) == 64
    assert note.format() == NOTE


def test_extension_lines_follow_in_order():
    checkpoint = Checkpoint("log", 0, ROOT, ("tenant a", "été"))
    assert checkpoint.body().split("\n")[3:] == ["tenant a", "été", ""]
    assert parse_body(checkpoint.body()) == checkpoint


SIZE, ROOT_LINE = "20852163", "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "body"),
        ("\n", "body"),
        (BODY[:-1], "body"),
        (f"log\n{SIZE}\n", "body"),
        (f"\n{SIZE}\n{ROOT_LINE}\n", "origin"),
        (f"lo\tg\n{SIZE}\n{ROOT_LINE}\n", "origin"),
        (f"lo\ud800g\n{SIZE}\n{ROOT_LINE}\n", "origin"),
        (f"log\n0{SIZE}\n{ROOT_LINE}\n", "size"),
        (f"log\n+{SIZE}\n{ROOT_LINE}\n", "size"),
        (f"log\n-1\n{ROOT_LINE}\n", "size"),
        (f"log\n {SIZE}\n{ROOT_LINE}\n", "size"),
        (f"log\n1_0\n{ROOT_LINE}\n", "size"),
        (f"log\n٣\n{ROOT_LINE}\n", "size"),
        (f"log\n\n{ROOT_LINE}\n", "size"),
        (f"log\n{MAX_TREE_SIZE + 1}\n{ROOT_LINE}\n", "size"),
        (f"log\n{'9' * 5000}\n{ROOT_LINE}\n", "size"),
        (f"log\n{SIZE}\n{ROOT_LINE[:-1]}\n", "root"),
        (f"log\n{SIZE}\n{ROOT_LINE}\r\n", "root"),
        (f"log\n{SIZE}\n{ROOT_LINE[:-2]}J=\n", "root"),  # the same bytes, stray bits set
        (f"log\n{SIZE}\n{ROOT_LINE.replace('/', '_')}\n", "root"),
        (f"log\n{SIZE}\nAAAA\n", "root"),
        (f"log\n{SIZE}\n{'A' * 44}\n", "root"),
        (f"log\n{SIZE}\n\n", "root"),
        (f"log\n{SIZE}\né\n", "root"),
        (f"log\n{SIZE}\n{ROOT_LINE}\n\n", "extensions"),
        (f"log\n{SIZE}\n{ROOT_LINE}\na\x00b\n", "extensions"),
        (BODY + "x" * MAX_NOTE_CHARS, "body"),
    ],
)
def test_what_is_no_checkpoint_is_refused_by_field(text, field):
    with pytest.raises(CheckpointError, match=rf"^{field}: ") as caught:
        parse_body(text)
    assert caught.value.code == "invalid_checkpoint"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        (("evil\n999", 1, ROOT), "origin"),
        (("log", -1, ROOT), "size"),
        (("log", True, ROOT), "size"),
        (("log", MAX_TREE_SIZE + 1, ROOT), "size"),
        (("log", 1, ROOT[:31]), "root"),
        (("log", 1, ROOT, ["a", "b\nc"]), "extensions"),
    ],
)
def test_a_checkpoint_that_would_read_back_as_another_cannot_be_made(fields, field):
    with pytest.raises(CheckpointError, match=rf"^{field}: "):
        Checkpoint(*fields)
