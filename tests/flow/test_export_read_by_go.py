"""An export with proofs is checked by an implementation that is not ours: that of Go's checksum database."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tenaudit.audit.integrity.note_keys import verifier_key
from tenaudit.audit.personal import PersonalFields
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance.events import TENANT, an_event
from tests.unit.audit.exported_trail import KEY, Trail, changed

pytestmark = [pytest.mark.debian, pytest.mark.timeout(180)]
SOURCE = Path(__file__).with_name("note_reader")
PUBLIC = verifier_key(KEY)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go on this machine")
    folder = tmp_path_factory.mktemp("exports")
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
    if subprocess.run([go, "mod", "download"], cwd=folder, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip("Go's modules cannot be had on this machine")
    subprocess.run([go, "build", "-mod=mod", "-o", "reader", "./exports"], cwd=folder, check=True, timeout=120)
    return folder / "reader"


def read(reader, word, text):
    return subprocess.run([reader, word], input=text, capture_output=True, timeout=30, check=False)


@pytest.mark.parametrize("size", [1, 2, 3, 255, 600])
def test_a_whole_export_is_proven_by_go_too(reader, size):
    answer = read(reader, PUBLIC, b"".join(Trail(size, size).export()))
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"%d\n" % size, b"")


def test_hashes_that_stand_for_values_are_proven_by_go_too(reader):
    events = [an_event(n, payload={"card": {"number": f"4111-{n}"}, "mail": "ada@example.org"}) for n in range(9)]
    trail = Trail(9, 9, events=events, personal=PersonalFields(["payload.mail", "payload.card"]))
    lines = trail.lines()
    hidden = events[4].model_copy(update={"actor_id": "***", "payload": {"card": events[4].payload["card"]}})
    lines[4] = trail.line(4, shown=hidden)
    answer = read(reader, PUBLIC, b"".join([*lines, trail.end(9)]))
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"9\n", b"")
    assert b"ada" not in lines[4]
    for place, other in ((3, "u-2"), (3, None), (4, "u-2")):
        forged = [*lines[:place], changed(lines[place], actor_id=other), *lines[place + 1 :], trail.end(9)]
        assert read(reader, PUBLIC, b"".join(forged)).returncode == 1


def test_what_is_done_to_an_export_is_found_by_go_too(reader):
    lines = Trail(300, 300).export()
    altered = [*lines[:200], changed(lines[200], actor_id="u-2"), *lines[201:]]
    assert read(reader, PUBLIC, b"".join(altered)).returncode == 1
    end = lines[-1].replace(b"tenaudit/tenants\\n3", b"tenaudit/tenants\\n4")
    assert read(reader, PUBLIC, b"".join([*lines[:-1], end])).returncode == 1


def test_the_growth_of_a_log_is_proven_by_go_too(reader, tmp_path):
    async def grown():
        proofs, start = [], 0
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            for size in (1, 2, 255, 256, 600):
                await store.append([an_event(number) for number in range(start, size)])
                await store.seal()
                proofs += [await store.prove_growth(TENANT, first) for first in (1, 2, 255, 256, 600) if first <= size]
                start = size
        return proofs

    for proof in asyncio.run(grown()):
        told = proof.to_json()
        answer = read(reader, "growth", json.dumps(told).encode())
        assert (answer.returncode, answer.stdout) == (0, b"%d\n" % proof.first.size), answer.stderr
        if told["path"]:
            told["path"][0] = "A" * 43 + "="
            assert read(reader, "growth", json.dumps(told).encode()).returncode == 1
