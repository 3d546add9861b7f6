"""Which files an import reads, and how a file that cannot be read is told."""

from __future__ import annotations

import gzip
import os

import pytest

from tenaudit import ConfigurationError
from tenaudit.audit.importers import BrokenFile
from tenaudit.cli.import_files import find_files
from tenaudit.cli.import_text import open_log

SAID = '{"Records": []}'
LIMIT = 1000


def read_text(path, max_bytes=LIMIT):
    with open_log(path, max_bytes=max_bytes) as log:
        return log.text()


def pieces_of(path, piece_bytes, max_bytes=LIMIT):
    with open_log(path, piece_bytes=piece_bytes, max_bytes=max_bytes) as log:
        return log.head(), list(log.pieces())


def names(found, root):
    return [str(path.relative_to(root)) for path in found.files]


def test_folders_are_walked_in_order_and_other_files_are_skipped(tmp_path):
    for name in ("b/2.json", "b/1.json.gz", "a/9.JSON", "a/LICENSE", "0.json", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(SAID)
    found = find_files([tmp_path])
    assert names(found, tmp_path) == ["0.json", "a/9.JSON", "b/1.json.gz", "b/2.json"]
    assert found.skipped == 2


def test_a_named_file_is_read_whatever_its_name_and_only_once(tmp_path):
    path = tmp_path / "log"
    path.write_text(SAID)
    os.link(path, tmp_path / "same.json")
    found = find_files([path, tmp_path, path])
    assert names(found, tmp_path) == ["log"]


def test_a_loop_of_links_ends(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "a.json").write_text(SAID)
    (inner / "up").symlink_to(tmp_path)
    (inner / "self.json").symlink_to(inner / "self.json")
    found = find_files([tmp_path])
    assert names(found, tmp_path) == ["inner/a.json"]
    assert [path.name for path, _ in found.broken] == ["self.json"]


def test_a_pipe_in_a_folder_is_skipped_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    found = find_files([tmp_path])
    assert (found.files, found.skipped) == ([], 1)
    with pytest.raises(ConfigurationError, match="neither a file nor a folder"):
        find_files([tmp_path / "pipe.json"])


def test_a_named_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="does not exist; check the path"):
        find_files([tmp_path / "none"])


@pytest.mark.parametrize(
    "content",
    [
        SAID.encode(),
        b"\xef\xbb\xbf" + SAID.encode(),
        gzip.compress(SAID.encode(), mtime=0),
        gzip.compress(b"", mtime=0) + gzip.compress(SAID.encode(), mtime=0),
    ],
    ids=["plain", "bom", "gzip", "gzip members"],
)
def test_the_first_bytes_tell_gzip(tmp_path, content):
    path = tmp_path / "log"
    path.write_bytes(content)
    assert read_text(path) == SAID
    assert pieces_of(path, 100) == (None, [SAID])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(os.urandom(500))[:-10], "broken_gzip"),
        (gzip.compress(SAID.encode(), mtime=0) + b"trash", "broken_gzip"),
        (b"\x1f\x8b", "broken_gzip"),
        (b"\x1f\x8b\x08\x00" + b"\xff" * 100, "broken_gzip"),
        (b"x" * (LIMIT + 1), "file_too_large"),
        (gzip.compress(b"x" * 10_000_000, mtime=0), "file_too_large"),
        (b"\xff\xfe\x00", "not_utf8"),
    ],
)
def test_a_file_that_cannot_be_read_has_a_reason(tmp_path, content, reason):
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(BrokenFile) as caught:
        read_text(path, max_bytes=LIMIT)
    assert caught.value.reason == reason


def test_a_file_of_exactly_the_limit_is_read(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(b"x" * LIMIT, mtime=0))
    assert len(read_text(path, max_bytes=LIMIT)) == LIMIT


def test_a_file_that_has_gone_is_unreadable(tmp_path):
    with pytest.raises(BrokenFile) as caught:
        read_text(tmp_path / "gone")
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("piece", "head", "pieces"),
    [
        (4, None, ["a\n", "bcdefg\n\n", "hé"]),
        (9, "a\n", ["a\nbcdefg\n", "\nhé"]),
        (13, "a\nbcdefg\n\n", ["a\nbcdefg\n\n", "hé"]),
        (17, None, ["a\nbcdefg\n\nhé"]),
    ],
)
def test_a_file_of_lines_comes_in_pieces_of_whole_lines(tmp_path, packed, piece, head, pieces):
    data = b"\xef\xbb\xbf" + "a\nbcdefg\n\nhé".encode()
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    assert pieces_of(path, piece) == (head, pieces)


def test_a_first_line_longer_than_a_piece_is_no_head(tmp_path):
    path = tmp_path / "log"
    path.write_text("x" * 50 + "\ny\n")
    assert pieces_of(path, 10) == (None, ["x" * 50 + "\ny\n"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a\n" + b"x" * (LIMIT + 1), "file_too_large"),
        (b"a\n" * 20 + b"\xff\n", "not_utf8"),
        (gzip.compress(b"a\n" * 20, mtime=0)[:-8], "broken_gzip"),
    ],
)
def test_what_came_before_the_fault_is_read(tmp_path, content, reason):
    path = tmp_path / "log"
    path.write_bytes(content)
    with open_log(path, piece_bytes=2, max_bytes=LIMIT) as log:
        pieces = log.pieces()
        assert next(pieces) == "a\n"
        with pytest.raises(BrokenFile) as caught:
            list(pieces)
    assert caught.value.reason == reason


def test_a_line_of_exactly_the_limit_is_read(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"a\n" + b"x" * (LIMIT - 1) + b"\nb")
    assert "".join(pieces_of(path, 2)[1]) == "a\n" + "x" * (LIMIT - 1) + "\nb"
