"""Every metric family that the source makes: told in the reference, and nothing for promtool to complain of."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import tenaudit
from tenaudit.errors.instruments import counter, durations, gauge, histogram, tallies

SOURCE = Path(tenaudit.__file__).parent
TABLE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"
_MAKERS = {"counter": counter, "gauge": gauge, "histogram": histogram, "tallies": tallies, "durations": durations}
_KINDS = {"tallies": "counter", "durations": "histogram"}


@dataclass(frozen=True)
class Family:
    kind: str
    name: str
    doc: str
    labels: tuple[str, ...]


def made(source: str) -> list[Family]:
    """Find the calls of the makers: `counter(registry, name, doc, labels)`."""
    tree = ast.parse(source)
    names = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "tenaudit.errors.instruments"
        for alias in node.names
    }
    families = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and names.get(node.func.id) in _MAKERS:
            _, name, doc, *labels = node.args
            labels += [keyword.value for keyword in node.keywords if keyword.arg == "labels"]
            told = ast.literal_eval(labels[0]) if labels else ()
            kind = names[node.func.id]
            families.append(Family(_KINDS.get(kind, kind), text_of(name), text_of(doc), tuple(told)))
    return families


def text_of(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):  # a prefix that can be chosen
        return "".join(part.value if isinstance(part, ast.Constant) else "gateway" for part in node.values)
    return str(ast.literal_eval(node))


def every_family() -> dict[str, Family]:
    found: dict[str, Family] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for family in made(path.read_text(encoding="utf-8")):
            assert found.setdefault(family.name, family) == family, f"{family.name} is made in two ways"
    return found


def test_the_finder_sees_what_a_gate_makes() -> None:
    registry = CollectorRegistry()
    tenaudit.Gate("shop", registry=registry, limits=["1/minute"])
    names = {f"{family.name}_total" if family.type == "counter" else family.name for family in registry.collect()}
    assert len(names) > 8
    assert names <= set(every_family())


def test_the_reference_tells_every_family_with_its_type_and_labels() -> None:
    rows = [line.split("|") for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    told = {row[1].strip(" `"): (row[2].strip(), tuple(re.findall(r"`(\w+)`", row[3]))) for row in rows}
    assert {name: (family.kind, family.labels) for name, family in every_family().items()} == told


def test_names_follow_the_rules() -> None:
    for name, family in every_family().items():
        assert (family.kind == "counter") == name.endswith("_total"), name
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        if family.kind == "histogram":
            assert name.endswith(("_seconds", "_bytes", "_usage")), name


@pytest.mark.debian
def test_promtool_finds_nothing_in_any_family() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool comes with a Debian package, which this machine does not have")
    registry = CollectorRegistry()
    for family in every_family().values():
        more = {"buckets": (1.0,)} if family.kind == "histogram" else {}
        instrument = _MAKERS[family.kind](registry, family.name, family.doc, family.labels, **more)
        child = instrument.labels(*["x"] * len(family.labels)) if family.labels else instrument
        child.observe(1) if family.kind == "histogram" else child.inc()
    text = generate_latest(registry)
    typed = [line for line in text.splitlines() if line.startswith(b"# TYPE") and b"_created " not in line]
    assert len(typed) == len(every_family())
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
