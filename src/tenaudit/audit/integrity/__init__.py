"""What makes the trail tamper-evident: canonical bytes, Merkle trees, proofs, checkpoints and signed notes."""

from __future__ import annotations

from tenaudit.audit.integrity.canonical import MAX_DEPTH, MAX_SAFE_INTEGER, CanonicalError, canonical_json
from tenaudit.audit.integrity.checkpoint import MAX_TREE_SIZE, Checkpoint, CheckpointError, parse_body
from tenaudit.audit.integrity.log_of_logs import (
    ALL_LOGS,
    LogOfLogs,
    RoundError,
    SealedRound,
    signed_round,
    tenant_of,
)
from tenaudit.audit.integrity.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    SUBTREE_BITS,
    CompactRange,
    MerkleError,
    Subtree,
    leaf_hash,
    node_hash,
    root_of,
)
from tenaudit.audit.integrity.note import (
    MAX_NOTE_CHARS,
    MAX_SIGNATURES,
    NoteError,
    NoteSignature,
    NoteSigner,
    NoteVerifier,
    SignedNote,
    ed25519_key_id,
)
from tenaudit.audit.integrity.proof import (
    consistency_proof,
    consistency_spans,
    inclusion_proof,
    inclusion_spans,
    verify_consistency,
    verify_inclusion,
)

__all__ = [
    "ALL_LOGS",
    "EMPTY_ROOT",
    "HASH_BYTES",
    "MAX_DEPTH",
    "MAX_NOTE_CHARS",
    "MAX_SAFE_INTEGER",
    "MAX_SIGNATURES",
    "MAX_TREE_SIZE",
    "SUBTREE_BITS",
    "CanonicalError",
    "Checkpoint",
    "CheckpointError",
    "CompactRange",
    "LogOfLogs",
    "MerkleError",
    "NoteError",
    "NoteSignature",
    "NoteSigner",
    "NoteVerifier",
    "RoundError",
    "SealedRound",
    "SignedNote",
    "Subtree",
    "canonical_json",
    "consistency_proof",
    "consistency_spans",
    "ed25519_key_id",
    "inclusion_proof",
    "inclusion_spans",
    "leaf_hash",
    "node_hash",
    "parse_body",
    "root_of",
    "signed_round",
    "tenant_of",
    "verify_consistency",
    "verify_inclusion",
]
