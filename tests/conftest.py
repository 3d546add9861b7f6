"""What is collected without an extra, which skips are allowed, and the depth of hypothesis."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from importlib.util import find_spec

import pytest
from hypothesis import settings

from tests.faults.tier import DEEP, SEED

_PLUGIN = "tenaudit.testing.plugin"
# Pytest refuses one plugin under two names: an installed entry point has loaded it already.
_installed = any(point.value == _PLUGIN for point in entry_points(group="pytest11"))
pytest_plugins = [] if _installed else [_PLUGIN]

# No deadlines: on two shared cores a slow example says nothing about the code.
settings.register_profile("quick", max_examples=20, deadline=None, print_blob=True)
settings.register_profile("ci", max_examples=60, deadline=None, derandomize=False, print_blob=True)
settings.register_profile("deep", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("TENAUDIT_HYPOTHESIS_PROFILE", "quick"))

# What needs a library of an extra is not collected without it; the header says so.
_NEEDS = {
    "contracts/test_docs*.py": "fastapi",
    "contracts/test_exports.py": "starlette",
    "contracts/test_layers.py": "importlinter",
    "faults/test_faults_real_engines.py": "asyncpg",
    "faults/test_matrix_cancel.py": "aiokafka",
    "faults/test_honest_runs.py": "asyncpg",
    "faults/test_tamper_matrix.py": "asyncpg",
    "conformance/test_visible_search_conformance.py": "asyncpg",
    "faults/test_matrix_commit_gap.py": "aiokafka",
    "faults/test_matrix_network.py": "aiokafka",
    "faults/test_matrix_outbox_gap.py": "aiokafka",
    "faults/test_matrix_kills.py": "aiokafka",
    "faults/test_matrix_outage.py": "aiokafka",
    "faults/test_matrix_poison.py": "aiokafka",
    "faults/test_matrix_pool.py": "aiokafka",
    "faults/test_matrix_rebalance.py": "aiokafka",
    "faults/test_matrix_replay.py": "aiokafka",
    "faults/test_matrix_zombie.py": "aiokafka",
    "faults/test_matrix_stuck_sender.py": "aiokafka",
    "flow/*": "uvicorn",
    "flow/test_audit_query*.py": "gunicorn",
    "flow/test_kafka*.py": "aiokafka",
    "flow/test_multiprocess*.py": "gunicorn",
    "flow/test_real_data*.py": "aiokafka",
    "flow/test_relay_killed.py": "asyncpg",
    "services/*": "asyncpg",
    "conformance/http/*": "fastapi",
    "properties/test_cedar*.py": "cedarpy",
    "unit/adapters/*": "starlette",
    "unit/adapters/test_aiohttp*.py": "aiohttp_cors",
    "unit/adapters/test_audited*.py": "flask_cors",
    "unit/adapters/test_fastapi*.py": "fastapi",
    "unit/adapters/test_flask*.py": "flask_cors",
    "unit/audit/test_integrity_note_ed25519.py": "cryptography",
    "unit/audit/test_integrity_note_keys.py": "cryptography",
    "unit/audit/test_checkpoint_keeper.py": "cryptography",
    "unit/audit/test_log_of_logs.py": "cryptography",
    "unit/cli/test_cli_audit_sign.py": "cryptography",
    "unit/cli/test_cli_audit_proofs.py": "cryptography",
    "unit/audit/test_export_check.py": "cryptography",
    "unit/audit/test_signed_tip.py": "cryptography",
    "properties/test_proven_export_properties.py": "cryptography",
    "flow/test_checkpoint_read_by_go.py": "cryptography",
    "flow/test_export_read_by_go.py": "cryptography",
    "unit/audit/test_mappers_schemas.py": "jsonschema",
    "unit/benchmarks/*": "starlette",
    "unit/cli/*": "click",
    "unit/backends/test_api_key_stores*.py": "asyncpg",
    "unit/backends/test_cedar*.py": "cedarpy",
    "unit/backends/test_erasure_tampering.py": "asyncpg",
    "unit/backends/test_jwks*.py": "httpx",
    "unit/backends/test_kafka*.py": "aiokafka",
    "unit/backends/test_outbox_postgres*.py": "asyncpg",
    "unit/backends/test_postgres*.py": "asyncpg",
    "unit/cli/test_cli_consume*.py": "aiokafka",
    "unit/cli/test_cli_db.py": "asyncpg",
    "unit/cli/test_cli_dlq_postgres.py": "asyncpg",
    "unit/cli/test_cli_relay_kafka.py": "aiokafka",
    "unit/cli/test_cli_serve*.py": "uvicorn",
    "conformance/test_postgres*.py": "asyncpg",
    "properties/test_postgres*.py": "asyncpg",
    "unit/security/test_hostile_settings.py": "jwt",
    "unit/security/test_jwt*.py": "jwt",
    "properties/test_signed_peer*.py": "http_message_signatures",
    "unit/security/test_signed_base.py": "cryptography",
    "unit/security/test_signed_peer*.py": "http_message_signatures",
}
collect_ignore_glob = [pattern for pattern, module in _NEEDS.items() if find_spec(module) is None]
_unexpected: list[str] = []


def pytest_report_header() -> str:
    """Say what is left out."""
    faults = f"fault tier: {'deep' if DEEP else 'short'}, TENAUDIT_SEED={SEED}"
    return f"not collected, extras missing: {', '.join(collect_ignore_glob) or 'nothing'}\n{faults}"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note every skip but those that lie in the machine: no Debian package, no root account."""
    reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
    if report.skipped and "debian" not in report.keywords and "only root" not in reason:
        _unexpected.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in CI that skipped what must run there."""
    if _unexpected and os.environ.get("CI"):
        print(f"\nunexpected skips: {', '.join(_unexpected)}")  # noqa: T201 - why the run fails
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
