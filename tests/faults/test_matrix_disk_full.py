"""Fault matrix, row 5: the spool's disk is full, then free: the policy fires and is counted, and it resumes alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from tenaudit.testing.ledger import Ledger
from tests.faults.figures import show

pytestmark = pytest.mark.faults
ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
MOUNTED = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" -m tests.faults.full_disk_producer "$1" filler'


def _said(command):
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
        cwd=ROOT,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(keepends=True)


def _settle(lines, capsys):
    ledger = Ledger()
    ledger.read(lines)
    came_out = [UUID(line.split()[1]) for line in lines if line.startswith("out ")]
    verdict = ledger.settle(came_out)
    assert verdict.holds, verdict
    [account] = [line.split()[1:] for line in lines if line.startswith("account ")]
    [metric] = [line.split()[1:] for line in lines if line.startswith("metric ")]
    emitted, delivered, dropped, spooled, queued = map(int, account)
    assert emitted == len(ledger)
    assert delivered == len(came_out) == len(verdict.stored) + len(verdict.recovered)
    # Closed cleanly: what did not come out was dropped, and each of these was counted once.
    assert dropped == int(metric[0]) == emitted - delivered > 0
    assert (spooled, queued) == (0, 0)
    show(capsys, f"disk full: {verdict}, {dropped} dropped and counted")


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_FSIZE of Linux")
def test_where_no_file_may_grow(tmp_path, capsys):
    _settle(_said([sys.executable, "-m", "tests.faults.full_disk_producer", tmp_path, "limit"]), capsys)


def test_on_a_disk_that_is_full_to_the_last_byte(tmp_path, capsys):
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    try:
        tried = subprocess.run(
            [*namespace, 'mount -t tmpfs tmpfs "$1"', "sh", tmp_path], check=False, capture_output=True, timeout=30
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if tried.returncode != 0:
        pytest.skip("only root may mount a file system here, and not even that one")
    _settle(_said([*namespace, MOUNTED, "sh", tmp_path, sys.executable]), capsys)
