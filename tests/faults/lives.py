"""Processes that are started again after each kill; what they said in each of their lives is kept."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path

WITHIN = 60.0
ROOT = Path(__file__).parents[2]


class Life:
    """One process, from its start to its end, and the lines that it has printed."""

    def __init__(self, words, env):
        self.lines = []
        self._up = threading.Event()
        self.process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            self._up.set()

    def until_up(self):
        """Wait for its first word."""
        assert self._up.wait(WITHIN), "it said nothing"
        self.check()

    def check(self):
        """Fail when it has ended by itself."""
        assert self.process.poll() is None, f"{self.process.args[1:]} ended by itself: {''.join(self.lines[-5:])}"

    def end(self, number, within=WITHIN):
        """Send a signal, wait for the end, and return the exit code."""
        self.process.send_signal(number)
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        # A pipe keeps what was written before the end.
        self._reader.join(within)
        self.process.stdout.close()
        return code


class Member:
    """A place in the pipeline that is always taken by one process."""

    def __init__(self, kind, words, env):
        self.kind, self._words, self._env = kind, words, env
        self.lives = []

    @property
    def now(self):
        return self.lives[-1]

    def start(self):
        self.lives.append(Life(self._words, self._env))

    def kill(self):
        self.now.check()
        self.now.end(signal.SIGKILL)

    def stop(self):
        assert self.now.end(signal.SIGTERM, 120.0) == 0, "".join(self.now.lines[-5:])

    def abandon(self):
        """Let nothing of it outlive the test."""
        for life in self.lives:
            if life.process.poll() is None:
                life.end(signal.SIGKILL)


def until(holds, what, within=WITHIN):
    """Wait for what tells nobody when it comes true, and return how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within, f"{what} took more than {within:g} s"
        time.sleep(0.2)
    return time.monotonic() - began
