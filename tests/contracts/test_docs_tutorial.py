"""The tutorial, as a reader types it: the service on a real port, and every answer as the page shows it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contracts.docs_pages import DOCS, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = DOCS / "tutorial" / "first-event.md"
ARRIVAL_SECONDS = 5.0


@contextmanager
def _served(folder: Path, command: str) -> Iterator[int]:
    """Run the page's server on a socket that listens already, so that no request comes too early."""
    assert command.split() == ["uvicorn", "app:app", "--port", "8000"]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        words = [sys.executable, "-m", "uvicorn", "app:app", "--fd", str(listening.fileno()), "--log-level", "warning"]
        server = subprocess.Popen(words, cwd=folder, pass_fds=[listening.fileno()])
        try:
            yield listening.getsockname()[1]
        finally:
            server.terminate()
            server.wait(10)


def _run(script: str, folder: Path, port: int) -> str:
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e"],
        input=script.replace(":8000", f":{port}"),
        cwd=folder,
        env={**os.environ, "PATH": places, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout


def _missing(shown: str, output: str) -> list[str]:
    """Return the lines of the page that the output lacks; … stands for anything."""
    patterns = [".*".join(map(re.escape, line.split("…"))) for line in shown.splitlines()]
    return [pattern for pattern in patterns if re.search(pattern, output) is None]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_answer_of_the_tutorial_is_as_shown(tmp_path: Path) -> None:
    page = blocks(PAGE)
    (source,) = [block for block in page if block.mark == "file: app.py"]
    (server,) = [block for block in page if block.mark == "background"]
    (tmp_path / "app.py").write_text(source.text, encoding="utf-8")
    commands = [(block, page[place + 1]) for place, block in enumerate(page) if block.mark == "run"]
    assert len(commands) == 5
    with _served(tmp_path, server.text) as port:
        for command, shown in commands:
            assert shown.language == "text"
            # Events arrive within moments of the answer; only what changes nothing is asked again.
            until = time.monotonic() + (0 if "POST" in command.text else ARRIVAL_SECONDS)
            while _missing(shown.text, output := _run(command.text, tmp_path, port)) and time.monotonic() < until:
                pass
            assert _missing(shown.text, output) == [], output
