"""The documentation says what the code does: its blocks run and its tables are the code's."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

import click
import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer, CheckpointKeeper, FanOutMember, FanOutSink, RedactionPolicy
from tenaudit.audit.consumer import Consumer
from tenaudit.audit.consumer.gaps import GapWatch
from tenaudit.audit.outbox import OutboxRelay
from tenaudit.audit.parameters import PARAMETERS
from tenaudit.audit.retention import RetentionJob
from tenaudit.backends.jwks import JwksKeySource
from tenaudit.backends.kafka import KafkaSink
from tenaudit.backends.memory import MemorySink
from tenaudit.backends.sqlite.outbox_relay import SqliteOutboxSource
from tenaudit.cli.app import app
from tenaudit.errors import ErrorCatalogue
from tenaudit.errors.durations import Durations
from tenaudit.errors.tally import Tallies
from tenaudit.gate import Gate
from tenaudit.policy import Capability, MatrixEngine, PolicyFile, PolicyMatrix, RoleCompat, ShadowEngine
from tenaudit.security import ApiKeyAuthenticator, DefaultRole, InMemoryApiKeyStore, SecuritySettings
from tests.contracts.docs_pages import DOCS, ROOT, blocks, pages, row_names, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize(
    "page",
    [page for page in pages() if any(b.language == "python" for b in blocks(page))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_every_python_block_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page.stem.replace("-", "_")}
    for block in blocks(page):
        if block.language == "python" and block.mark != "no-run":
            # As many lines before it as in the page, so that a traceback names the page's own line.
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)


def test_the_sink_that_the_guide_proves_passes_its_suite(tmp_path: Path) -> None:
    page = DOCS / "howto" / "write-a-sink.md"
    namespace: dict[str, Any] = {}
    for block in blocks(page):
        if block.language == "python":
            exec(compile(block.text, str(page), "exec"), namespace)
    suite = namespace["TestMySink"]()
    cases = [name for name in dir(suite) if name.startswith("test_")]
    assert cases
    for case in cases:
        folder = tmp_path / case
        folder.mkdir()
        getattr(suite, case)(folder)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    targets = _LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8").splitlines()
    written = {str(page.relative_to(DOCS).with_suffix("")) for page in pages() if page.is_relative_to(DOCS)}
    assert written - {"index"} == {line for line in index if re.fullmatch(r"\w+/[\w-]+", line)}


def test_the_table_of_errors_is_the_platforms_catalogue() -> None:
    told = [row for row in rows("errors.md") if len(row) == 3]
    assert told == [[f"`{known.code}`", str(known.status), known.description] for known in ErrorCatalogue()]


def test_the_policy_table_is_the_default_matrix() -> None:
    matrix = PolicyMatrix.default()
    wanted = [
        [
            f"`{capability}`",
            *("allow" if matrix.allows({role}, capability) else "deny" for role in matrix.roles),
            f"`{matrix.denial_name(capability)}`",
        ]
        for capability in Capability
    ]
    assert [row for row in rows("policy-matrix.md") if len(row) > 2] == wanted
    head = f"| capability | {' | '.join(matrix.roles)} | denial name |"
    assert head in (DOCS / "reference" / "policy-matrix.md").read_text(encoding="utf-8")


def test_every_query_parameter_has_a_row() -> None:
    assert row_names("query-parameters.md") == list(PARAMETERS)


def test_every_metric_has_a_row_with_its_type_and_labels(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    gate = Gate("docs", registry=registry, producer=AuditProducer(MemorySink(), service="docs", registry=registry))
    gate.security.on_unknown_roles(1)
    gate.security.on_untrusted("unsigned")
    assert JwksKeySource("https://idp.example/jwks", registry=registry)
    assert DefaultRole(ApiKeyAuthenticator(InMemoryApiKeyStore()), "Support", registry=registry)
    assert OutboxRelay(SqliteOutboxSource(tmp_path / "app.db"), MemorySink(), registry=registry)
    matrix = MatrixEngine(PolicyMatrix.default())
    ShadowEngine(matrix, matrix, registry=registry)
    RoleCompat(["Admin"], "audit_view", registry=registry)
    (tmp_path / "policy.toml").write_text("[roles]\n")
    PolicyFile(tmp_path / "policy.toml", registry=registry)
    assert FanOutSink([FanOutMember(MemorySink(), "docs")], registry=registry)
    assert KafkaSink("127.0.0.1:9092", registry=registry)
    Consumer(None, None, None, registry=registry)
    GapWatch(None, registry=registry)
    RedactionPolicy(registry=registry)
    CheckpointKeeper(None, None, [None], [None], registry=registry)
    RetentionJob(None, registry=registry)
    assert isinstance(gate.security, SecuritySettings)
    made = {
        f"{family.name}_total" if family.type == "counter" else family.name: (
            family.type,
            _labels(registry, family.name),
        )
        for family in registry.collect()
    }
    told = {row[0].strip("`"): (row[1], tuple(re.findall(r"`(\w+)`", row[2]))) for row in rows("metrics.md")}
    assert told == made


def _labels(registry: CollectorRegistry, name: str) -> tuple[str, ...]:
    # What prometheus-client says of a family has no label names before the first sample.
    (collector,) = {c for c, names in registry._collector_to_names.items() if name in names}
    return tuple(collector.labelnames if isinstance(collector, Tallies | Durations) else collector._labelnames)


def _commands(
    command: click.Command, words: tuple[str, ...], ctx: click.Context
) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(words), command
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            assert below is not None
            yield from _commands(below, (*words, name), click.Context(below, parent=ctx, info_name=name))


def test_every_command_and_option_is_told_where_its_command_is() -> None:
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    sections = {part.split("\n", 1)[0]: part for part in text.split("\n## ")[1:]}
    found = dict(_commands(app, ("tenaudit",), click.Context(app, info_name="tenaudit")))
    leaves = {
        name: command for name, command in found.items() if name == "tenaudit" or not isinstance(command, click.Group)
    }
    assert set(sections) == set(leaves)
    for name, command in leaves.items():
        wanted = {text for option in command.params if isinstance(option, click.Option) for text in option.opts}
        told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", sections[name]))
        assert wanted <= told, name
        assert told - wanted <= {"--help", "--store", "--limit"}, name


def test_every_extra_has_a_row() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(name for row in rows("extras.md") for name in [row[0].strip("`")]) == sorted(
        project["optional-dependencies"]
    )


def test_an_extra_is_called_unused_only_while_nothing_asks_for_it() -> None:
    rooms = (path for path in (ROOT / "src" / "tenaudit").rglob("*.py") if path.parent.name != "_kernel")
    asked = set(re.findall(r'MissingExtra\(\s*"(\w+)"', "\n".join(path.read_text(encoding="utf-8") for path in rooms)))
    assert {"starlette", "jwt"} <= asked
    unused = {row[0].strip("`") for row in rows("extras.md") if row[2] == "nothing in this version"}
    assert not asked & unused
