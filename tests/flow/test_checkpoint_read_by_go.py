"""A signed checkpoint is read by an implementation that is not ours: that of the format's authors, in Go."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tenaudit.audit.integrity import Checkpoint, CompactRange, leaf_hash
from tenaudit.audit.integrity.log_of_logs import ALL_LOGS, signed_round
from tenaudit.audit.integrity.note_keys import new_signer_key, signer_from, verifier_key

pytestmark = [pytest.mark.debian, pytest.mark.timeout(180)]
SOURCE = Path(__file__).with_name("note_reader")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go on this machine")
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
    if subprocess.run([go, "mod", "download"], cwd=folder, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip("Go's modules cannot be had on this machine")
    subprocess.run([go, "build", "-mod=mod", "-o", "reader", "."], cwd=folder, check=True, timeout=120)
    return folder / "reader"


def _read(reader, key, note, origin=ALL_LOGS):
    return subprocess.run([reader, key, origin], input=note, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_the_note_of_all_logs_is_read_and_its_signature_holds(reader, size):
    key = new_signer_key("audit.example/prod")
    bodies = [Checkpoint(f"tenaudit/tenant/{number}", number, bytes(32)).body() for number in range(size)]
    made, tree = signed_round(CompactRange(), bodies, signer_from(key))
    read = _read(reader, verifier_key(key), made.note)
    assert read.stdout.split() == [str(size), tree.root().hex()], read.stderr
    assert tree.root() == CompactRange().extend(leaf_hash(body.encode()) for body in bodies).root()
    changed = _read(reader, verifier_key(key), made.note.replace(f"\n{size}\n", f"\n{size + 1}\n", 1))
    assert "invalid signature" in changed.stderr
    assert _read(reader, verifier_key(new_signer_key("audit.example/prod")), made.note).returncode
    assert _read(reader, verifier_key(key), made.note, "another/log").returncode
