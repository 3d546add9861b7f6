"""The small parts of the kernel: clock, error root, missing extras, statement files."""

from __future__ import annotations

import sys
import time

import pytest

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError, TenauditError
from tenaudit._kernel.extras import MissingExtra
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.testing.clock import ManualClock


def test_the_system_clock_reads_the_machine():
    clock = SystemClock()
    before = time.time_ns()
    assert before <= clock.time_ns() <= time.time_ns()
    assert clock.monotonic() <= clock.monotonic()


def test_a_manual_clock_moves_only_when_told():
    clock = ManualClock(start=10.0)
    assert (clock.time_ns(), clock.monotonic()) == (10_000_000_000, 0.0)
    clock.advance(2.5)
    clock.jump_wall(-1.0)
    assert (clock.time_ns(), clock.monotonic()) == (11_500_000_000, 2.5)


def test_an_error_without_text_says_its_docstring():
    class QueueFullError(TenauditError):
        """The queue is full.

        More that is not the message.
        """

    assert str(QueueFullError()) == "The queue is full."
    assert str(QueueFullError("of events")) == "of events"
    assert issubclass(ConfigurationError, TenauditError)


def test_a_missing_extra_names_the_pip_line_and_is_an_import_error():
    error = MissingExtra("postgres", "asyncpg")
    assert isinstance(error, ImportError)
    assert isinstance(error, TenauditError)
    assert 'pip install "tenaudit[postgres]"' in str(error)
    assert str(error).startswith("asyncpg is not installed")


def _package(tmp_path, monkeypatch, name, sql):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "queries.sql").write_text(sql)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_statements_are_read_by_name(tmp_path, monkeypatch):
    sql = "-- one: the first\nSELECT 1;\n\n-- two_b: the second\nSELECT 2\n  FROM t;\n"
    package = _package(tmp_path, monkeypatch, "sqlfile_good", sql)
    assert load_statements(package, "queries.sql") == {"one": "SELECT 1;", "two_b": "SELECT 2\n  FROM t;"}
    sys.modules.pop(package, None)


@pytest.mark.parametrize(
    ("package", "sql"),
    [("sqlfile_empty", "SELECT 1;"), ("sqlfile_twice", "-- a: x\nSELECT 1;\n-- a: y\nSELECT 2;\n")],
)
def test_a_statement_file_without_unique_names_is_refused(tmp_path, monkeypatch, package, sql):
    _package(tmp_path, monkeypatch, package, sql)
    with pytest.raises(ValueError, match="statement names"):
        load_statements(package, "queries.sql")
    sys.modules.pop(package, None)
