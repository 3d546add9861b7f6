"""A wrong import in each layer is caught: the contracts bite, and do not only exist."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.arch
ROOT = Path(__file__).parents[2]


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_tree_as_it_is_keeps_every_contract(tree: Path) -> None:
    done = lint(tree)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "wrong", "contract"),
    [
        ("_kernel/clock.py", "tenaudit.errors", "one-way layers"),
        ("settings/__init__.py", "tenaudit.security", "one-way layers"),
        ("errors/labels.py", "tenaudit.security", "one-way layers"),
        ("security/roles.py", "tenaudit.policy", "one-way layers"),
        ("policy/decision.py", "tenaudit.audit", "one-way layers"),
        ("ratelimit/rules.py", "tenaudit.policy", "one-way layers"),
        ("audit/query.py", "tenaudit.backends.sqlite", "one-way layers"),
        ("gate/gate.py", "redis", "cores do no I/O"),
        ("backends/memory.py", "tenaudit.gate", "one-way layers"),
        ("backends/jsonl.py", "tenaudit.backends.memory", "backends do not know each other"),
        ("adapters/starlette/wire.py", "tenaudit.backends.memory", "an adapter never picks a backend"),
        ("testing/clock.py", "tenaudit.cli", "the testing kit knows no CLI"),
        ("demo/serving.py", "tenaudit.cli", "one-way layers"),
        ("policy/engine.py", "pydantic", "decisions are made on plain values"),
    ],
)
def test_a_wrong_import_is_caught_by_its_contract(tree: Path, file: str, wrong: str, contract: str) -> None:
    with (tree / "src" / "tenaudit" / file).open("a") as module:
        module.write(f"\nimport {wrong}\n")
    done = lint(tree)
    assert done.returncode == 1
    assert f"{contract} BROKEN" in done.stdout


def test_a_new_package_without_a_layer_is_caught(tree: Path) -> None:
    (tree / "src" / "tenaudit" / "extra").mkdir()
    (tree / "src" / "tenaudit" / "extra" / "__init__.py").write_text('"""A room without a place."""\n')
    done = lint(tree)
    assert done.returncode == 1
    assert "tenaudit.extra" in done.stdout
