"""Which store a URL names, and what is said of one that names none."""

from __future__ import annotations

import asyncio

import pytest

from tenaudit import ConfigurationError
from tenaudit.cli import main
from tenaudit.cli.store_url import open_store


def make(url):
    async def run():
        async with open_store(url, must_exist=False):
            pass

    asyncio.run(run())


def test_three_slashes_start_here_and_four_at_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    make("sqlite:///sub/relative.db")
    make(f"sqlite:///{tmp_path}/absolute.db")
    make("SQLite:///100%.db")
    assert {path.name for path in tmp_path.rglob("*.db")} == {"relative.db", "absolute.db", "100%.db"}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("audit.db", "sqlite:///FILE"),
        ("", "sqlite:///FILE"),
        ("mysql://u:secret@host/db", "sqlite:///FILE"),
        ("sqlite:audit.db", "three slashes"),
        ("sqlite://audit.db", "three slashes"),
        ("sqlite:///", "three slashes"),
        ("sqlite:///a\0b", "three slashes"),
        ("sqlite:///:memory:", "name a file"),
        ("sqlite:///no/such/folder/audit.db", "does not exist"),
        ("sqlite:////dev/null", "no SQLite file"),
        ("sqlite:////", "no SQLite file"),
    ],
)
def test_a_url_that_names_no_store_says_how_to_mend_it(url, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        open_store(url, must_exist=False)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("command", ["query", "verify"])
@pytest.mark.parametrize("content", [None, b"", b"hello, this is a text and no database"])
def test_reading_a_store_that_is_not_there_is_an_error_and_makes_none(tmp_path, capsys, command, content):
    path = tmp_path / "audit.db"
    if content is not None:
        path.write_bytes(content)
    assert main(["audit", command, "--store", f"sqlite:///{path}"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert (path.read_bytes() if path.exists() else None) == content


def test_the_environment_names_the_store(tmp_path, capsys, monkeypatch):
    make(f"sqlite:///{tmp_path}/audit.db")
    monkeypatch.setenv("TENAUDIT_STORE", f"sqlite:///{tmp_path}/audit.db")
    assert main(["audit", "verify", "--json"]) == 0
    assert capsys.readouterr().out == '{"verified": true, "events": 0, "tenants": 0, "problems": []}\n'
