"""The command line as a whole: help without extras, one line for each failure, and its exit code."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import click
import pytest

from tenaudit import ConfigurationError, MissingExtra
from tenaudit.audit import StoreError
from tenaudit.cli import main
from tenaudit.cli.commands import CommandEntry, LazyGroup
from tenaudit.cli.errors import explain
from tenaudit.cli.printable import printable


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def one_line(text):
    return text.startswith("error: ") and text.count("\n") == 1 and text.endswith("\n")


@pytest.mark.parametrize("package", ["click", "rich"])
def test_a_missing_extra_is_one_line_that_names_it(package):
    done = python(
        f"import sys; sys.modules['{package}'] = None\nfrom tenaudit.cli import main\nsys.exit(main(['audit']))"
    )
    assert done.returncode == 2
    assert done.stderr == f'error: {package} is not installed: pip install "tenaudit[cli]"\n'


def test_without_the_command_line_the_demo_names_its_own_extra():
    done = python("import sys; sys.modules['click'] = None\nfrom tenaudit.cli import main\nsys.exit(main(['demo']))")
    assert done.returncode == 2
    assert done.stderr == 'error: click is not installed: pip install "tenaudit[demo]"\n'


def test_importing_the_entry_point_needs_the_standard_library_only():
    done = python(
        "import sys; import tenaudit.cli; print([m for m in ('click', 'rich', 'pydantic') if m in sys.modules])"
    )
    assert done.stdout == "[]\n"


def test_help_lists_every_command_and_imports_none():
    done = python(
        "import sys; from tenaudit.cli import main; code = main(['--help'])\n"
        "print(code, [m for m in sys.modules if m in ('tenaudit.cli.demo', 'tenaudit.cli.audit', 'uvicorn')])"
    )
    assert all(name in done.stdout for name in ("audit", "demo", "import"))
    assert done.stdout.endswith("0 []\n")


def test_a_command_whose_package_is_missing_says_which_extra():
    group = LazyGroup("root", entries={"gone": CommandEntry("tenaudit.cli.gone", "gone", "Nothing.", "demo")})
    with pytest.raises(MissingExtra, match=r"tenaudit\[demo\]"):
        group.get_command(click.Context(group), "gone")
    assert group.get_command(click.Context(group), "other") is None


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tenaudit ")


@pytest.mark.parametrize("argv", [["--help"], ["import", "--help"], ["audit", "--help"], ["audit", "query", "-h"]])
def test_help_succeeds(argv, capsys):
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith("Usage: tenaudit")


@pytest.mark.parametrize("argv", [[], ["audit"]])
def test_no_command_shows_the_help_as_bad_usage(argv, capsys):
    assert main(argv) == 2
    assert capsys.readouterr().err.startswith("Usage: tenaudit")


@pytest.mark.parametrize("argv", [["bogus"], ["--bogus"], ["audit", "bogus"], ["audit", "verify"], ["import"]])
def test_bad_usage_is_one_line(argv, capsys, monkeypatch):
    monkeypatch.delenv("TENAUDIT_STORE", raising=False)
    assert main(argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert one_line(said.err)
    assert "--help" in said.err


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (ConfigurationError("a is wrong; write b"), "a is wrong; write b", 2),
        (MissingExtra("demo", "uvicorn"), 'uvicorn is not installed: pip install "tenaudit[demo]"', 2),
        (StoreError("x.db: locked"), "x.db: locked; check the file, its permissions and the free space", 2),
        (
            OSError(errno.EADDRINUSE, "Address already in use"),
            "Address already in use; choose another port, or stop what listens there",
            2,
        ),
        (PermissionError(errno.EACCES, "no", "f\n.db"), "f\\n.db: no; check the path and its permissions", 2),
        (KeyboardInterrupt(), "interrupted; run it again to go on", 130),
        (click.Abort(), "interrupted; run it again to go on", 130),
        (
            ZeroDivisionError("a\nb"),
            "unexpected ZeroDivisionError: a\\nb; run it again with --debug to see where, and report it",
            70,
        ),
    ],
)
def test_each_failure_is_one_line_and_a_code(error, line, code):
    assert explain(error) == (line, code)


def test_a_failure_has_no_traceback_unless_it_is_asked_for(tmp_path, capsys):
    argv = ["audit", "verify", "--store", f"sqlite:///{tmp_path}/none.db"]
    assert main(argv) == 2
    assert one_line(capsys.readouterr().err)
    with pytest.raises(ConfigurationError):
        main(["--debug", *argv])
    done = python(f"import sys; from tenaudit.cli import main; sys.exit(main({argv!r}))", TENAUDIT_DEBUG="1")
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü", "plain ü"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("a\nb", "a\\nb"),
        ("\u202e", "\\u202e"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text, shown):
    assert printable(text) == shown


def shell(command):
    environment = {**os.environ, "PY": sys.executable}
    return subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_reader_that_has_gone_is_no_verdict():
    # `audit verify` exits 1 for a trail that was tampered with; a closed pipe must not look like that.
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-m", "tenaudit.cli", "--help"]
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_change_no_exit_code(closed):
    assert shell(f'"$PY" -m tenaudit.cli --version {closed}').returncode == 0
    assert shell(f'"$PY" -m tenaudit.cli audit verify {closed}').returncode == 2
