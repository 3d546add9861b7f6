"""Suites that prove a sink or a store: subclass one in a test module, say how to open yours, and run pytest."""

from __future__ import annotations

from tenaudit.testing.conformance.account import AccountConformance
from tenaudit.testing.conformance.api_keys import ApiKeyStoreConformance
from tenaudit.testing.conformance.dead_letters import DeadLetterConformance
from tenaudit.testing.conformance.erasure import ErasureConformance
from tenaudit.testing.conformance.events import an_event
from tenaudit.testing.conformance.proofs import ProofConformance
from tenaudit.testing.conformance.retention import RetentionConformance
from tenaudit.testing.conformance.sink import SinkConformance
from tenaudit.testing.conformance.store import StoreConformance

__all__ = [
    "AccountConformance",
    "ApiKeyStoreConformance",
    "DeadLetterConformance",
    "ErasureConformance",
    "ProofConformance",
    "RetentionConformance",
    "SinkConformance",
    "StoreConformance",
    "an_event",
]
