"""The supervisor of child processes: they end, whatever they think of it."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from tenaudit.testing.services import PortTaken, ServiceUnavailable
from tenaudit.testing.services.process import Program, run, running, wait_ready

STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    print("child", child, flush=True)
time.sleep(60)
"""


def python(folder: Path, source: str, **options) -> Program:
    return Program((sys.executable, "-c", source), folder, folder / "log", **options)


def runs(pid: int) -> bool:
    """Whether *pid* is a process that has not ended; a zombie has."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def ends(pid: int, *, within: float = 10.0) -> bool:
    deadline = time.monotonic() + within
    while runs(pid) and time.monotonic() < deadline:
        pass
    return not runs(pid)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_group_that_ignores_the_request_is_killed_whole(tmp_path):
    with running(python(tmp_path, STUBBORN, stop_within=0.2)) as child:
        (grandchild,) = wait_ready(child, lambda: child.log_tail().split()[1:] or None, within=20)
        assert runs(int(grandchild))
    assert child.wait(0) == -signal.SIGKILL
    assert ends(int(grandchild))


def test_a_polite_child_gets_its_signal(tmp_path):
    with running(python(tmp_path, "print('up', flush=True); import time; time.sleep(60)")) as child:
        wait_ready(child, lambda: child.log_tail() or None, within=20)
    assert child.wait(0) == -signal.SIGTERM


def test_an_exception_ends_the_child_too(tmp_path):
    with pytest.raises(ZeroDivisionError), running(python(tmp_path, "import time; time.sleep(60)")) as child:
        raise ZeroDivisionError
    assert child.wait(0) is not None


def test_run_returns_what_was_printed(tmp_path):
    assert run(python(tmp_path, "print('done')"), within=20) == "done"


def test_a_failure_shows_status_and_last_words(tmp_path):
    with pytest.raises(ServiceUnavailable, match=r"(?s)status 3.*no such luck"):
        run(python(tmp_path, "print('no such luck'); raise SystemExit(3)"), within=20)


def test_a_slow_program_is_ended_at_its_deadline(tmp_path):
    with pytest.raises(ServiceUnavailable, match=r"within 0\.2 s"):
        run(python(tmp_path, "import time; time.sleep(60)"), within=0.2)


def test_readiness_has_a_deadline(tmp_path):
    late = pytest.raises(ServiceUnavailable, match=r"not ready within 0\.2 s")
    with running(python(tmp_path, "import time; time.sleep(60)")) as child, late:
        wait_ready(child, lambda: None, within=0.2)


def test_a_child_that_ends_early_is_never_ready(tmp_path):
    early = pytest.raises(PortTaken, match="before it was ready")
    with running(python(tmp_path, "print('bind: Address already in use')")) as child, early:
        wait_ready(child, lambda: None, within=20)


def test_a_program_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ServiceUnavailable, match="no-such-server"):
        run(Program((str(tmp_path / "no-such-server"),), tmp_path, tmp_path / "log"), within=1)
