"""Rate limits: rules as text, five pure algorithms, an engine in memory, headers of the current draft."""

from tenaudit.ratelimit.algorithms import ALGORITHMS, Algorithm
from tenaudit.ratelimit.engine import RateLimiterEngine
from tenaudit.ratelimit.grammar import parse_rule
from tenaudit.ratelimit.headers import rate_limit_headers, retry_after_seconds
from tenaudit.ratelimit.memory import EngineStats, InMemoryEngine
from tenaudit.ratelimit.rules import AlgorithmName, InvalidCost, InvalidRule, OnFailure, Rule
from tenaudit.ratelimit.verdict import RateDecision, RuleVerdict

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "AlgorithmName",
    "EngineStats",
    "InMemoryEngine",
    "InvalidCost",
    "InvalidRule",
    "OnFailure",
    "RateDecision",
    "RateLimiterEngine",
    "Rule",
    "RuleVerdict",
    "parse_rule",
    "rate_limit_headers",
    "retry_after_seconds",
]
