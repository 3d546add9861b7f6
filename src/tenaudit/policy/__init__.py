"""Policy: may they? Deny unless a rule of the matrix, or another engine, says otherwise."""

from tenaudit.policy.decision import Decision
from tenaudit.policy.engine import MatrixEngine, PolicyEngine
from tenaudit.policy.guard import PolicyGuard, ensure_capability
from tenaudit.policy.matrix import PolicyMatrix
from tenaudit.policy.vocabulary import DENIAL_NAMES, Capability, Role

__all__ = [
    "DENIAL_NAMES",
    "Capability",
    "Decision",
    "MatrixEngine",
    "PolicyEngine",
    "PolicyGuard",
    "PolicyMatrix",
    "Role",
    "ensure_capability",
]
