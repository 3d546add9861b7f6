"""Erasure: taking one person's values out of a trail whose proofs stay what they are."""

from tenaudit.audit.erasure.erase import ErasureOptions
from tenaudit.audit.erasure.ports import ErasureStore
from tenaudit.audit.erasure.report import ErasureReport, Unreached
from tenaudit.audit.erasure.steps import ErasureHeld

__all__ = ["ErasureHeld", "ErasureOptions", "ErasureReport", "ErasureStore", "Unreached"]
