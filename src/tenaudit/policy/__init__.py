"""Policy: may they? Deny unless a rule of the matrix, or another engine, says otherwise."""

from tenaudit.policy.compat_report import CompatDifference, RoleCompatReport
from tenaudit.policy.decision import Decision
from tenaudit.policy.engine import ChangingEngine, MatrixEngine, PolicyEngine
from tenaudit.policy.explanation import Explanation, explain_roles
from tenaudit.policy.golden import GoldenCell, GoldenFault, check_golden, golden_cells, golden_toml, load_golden
from tenaudit.policy.guard import PolicyGuard, ensure_capability
from tenaudit.policy.matrix import PolicyMatrix
from tenaudit.policy.matrix_diff import CellChange, DenialNameChange, MatrixDiff
from tenaudit.policy.matrix_table import matrix_json, matrix_markdown
from tenaudit.policy.policy_file import PolicyFile, ReloadResult
from tenaudit.policy.role_compat import RoleCompat, role_compat_report
from tenaudit.policy.shadow import ShadowEngine
from tenaudit.policy.vocabulary import DENIAL_NAMES, Capability, Role

__all__ = [
    "DENIAL_NAMES",
    "Capability",
    "CellChange",
    "ChangingEngine",
    "CompatDifference",
    "Decision",
    "DenialNameChange",
    "Explanation",
    "GoldenCell",
    "GoldenFault",
    "MatrixDiff",
    "MatrixEngine",
    "PolicyEngine",
    "PolicyFile",
    "PolicyGuard",
    "PolicyMatrix",
    "ReloadResult",
    "Role",
    "RoleCompat",
    "RoleCompatReport",
    "ShadowEngine",
    "check_golden",
    "ensure_capability",
    "explain_roles",
    "golden_cells",
    "golden_toml",
    "load_golden",
    "matrix_json",
    "matrix_markdown",
    "role_compat_report",
]
