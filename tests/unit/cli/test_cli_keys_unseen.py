"""A key that was made and could not be shown, and a name that the terminal cannot."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from tenaudit.cli import main

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"


def tenaudit(*argv, stdout=subprocess.PIPE, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tenaudit.cli", "keys", *argv],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        timeout=60,
        check=False,
    )


def create(store, *argv, **options):
    return tenaudit("create", "--store", store, "--tenant", TENANT, "--role", "cashier", *argv, **options)


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_key_that_could_not_be_written_is_named_so_that_it_can_be_revoked(tmp_path, form):
    store = f"sqlite:///{tmp_path}/keys.db"
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        made = create(store, *form, stdout=full)
    assert made.returncode == 2
    told, error = made.stderr.decode().splitlines()
    prefix = told.split()[0]
    assert told == f"{prefix} was made and could not be shown: revoke it with tenaudit keys revoke"
    assert error.startswith("error: No space left")
    assert tenaudit("revoke", prefix, "--store", store).returncode == 0


def test_a_name_that_the_terminal_cannot_show_is_escaped(tmp_path):
    store = f"sqlite:///{tmp_path}/keys.db"
    assert create(store, "--name", "Käse").returncode == 0
    shown = tenaudit("list", "--store", store, PYTHONIOENCODING="ascii")
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert rb"K\xe4se" in shown.stdout


class Gone(io.StringIO):
    """A stream whose reader has gone."""

    def flush(self):
        raise BrokenPipeError


def test_a_key_whose_reader_has_gone_is_named_too(tmp_path):
    said = io.StringIO()
    argv = ["keys", "create", "--store", f"sqlite:///{tmp_path}/keys.db", "--tenant", TENANT, "--role", "cashier"]
    # The interpreter's own stream is duplicated onto the null device; this one is not the interpreter's.
    gone = Gone()
    gone.fileno = os.open(os.devnull, os.O_WRONLY).__index__
    with redirect_stdout(gone), redirect_stderr(said):
        assert main(argv) == 141
    os.close(gone.fileno())
    assert said.getvalue().endswith("was made and could not be shown: revoke it with tenaudit keys revoke\n")
