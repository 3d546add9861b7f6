"""What a limit is: a frozen `Rule`, checked once when it is made.

Rules of this file: pure; every number the algorithms need on the hot path is derived here, once. All of them
stay under 2**53, so that the same arithmetic is exact where numbers are doubles (Lua in Redis).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd
from typing import Literal, get_args

from tenaudit._kernel.error import TenauditError

__all__ = ["AlgorithmName", "InvalidCost", "InvalidRule", "OnFailure", "Rule", "check_cost"]

AlgorithmName = Literal["gcra", "sliding_window", "fixed_window", "calendar", "concurrency"]
OnFailure = Literal["open", "closed", "local"]

ALGORITHM_NAMES: tuple[str, ...] = get_args(AlgorithmName)
ON_FAILURE_NAMES: tuple[str, ...] = get_args(OnFailure)
DAY = 86_400
MONTH = 30 * DAY
DEFAULT_LEASE = 60
MAX_LIMIT = 10**12
MAX_SLOTS = 10_000
MAX_WINDOW = 366 * DAY
_MAX_NAME = 64
_EXACT = 2**52
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/- ")
_UNITS = ((DAY, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class InvalidRule(TenauditError, ValueError):  # noqa: N818 - reads as a fact where it is raised
    """A rate limit rule is wrong; the message names its text and what is wrong with it."""

    code = "invalid_rule"

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        self.reason = reason
        shown = text if len(text) <= 80 else text[:77] + "..."
        super().__init__(f"invalid rate limit rule {shown!r}: {reason}")


class InvalidCost(TenauditError, ValueError):  # noqa: N818 - reads as a fact where it is raised
    """The cost of a hit is not a whole number of at least 0."""

    code = "invalid_cost"

    def __init__(self, cost: object) -> None:
        super().__init__(f"cost must be a whole number of at least 0, not {cost!r}")


def check_cost(cost: object) -> None:
    """Refuse a cost that would break integer arithmetic.

    Raises:
        InvalidCost: the cost is not an `int` of at least 0.
    """
    if type(cost) is not int or cost < 0:
        raise InvalidCost(cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One limit: how much, in how long, counted how.

    Attributes:
        limit: units admitted per window, 1 to 10**12 (slots for `concurrency`, at most 10 000).
        window: seconds. For `calendar` 86 400 means the UTC day and 2 592 000 the UTC month; for `concurrency`
            it is the lease, after which a slot that was never given back is free again.
        algorithm: how units are counted; see `tenaudit.ratelimit.algorithms`.
        burst: for `gcra`, the most that is admitted at once (the size of the bucket); otherwise the limit.
        name: label in headers and metrics: letters, digits, `_.:/-` and spaces, at most 64 characters.
        on_failure: what happens when nothing can count: admit (`open`), refuse (`closed`), or count with what
            is at hand (`local`).
        shadow: evaluate and count, but never refuse.

    `dataclasses.replace` keeps the old name and burst unless they are given too.

    Raises:
        InvalidRule: a field is out of range, or does not go with the algorithm.

    Example:
        >>> Rule(limit=100, window=60)
        Rule(limit=100, window=60, algorithm='gcra', burst=100, name='100/minute', on_failure='local', shadow=False)
        >>> str(Rule(limit=10, window=1, burst=20, shadow=True))
        '10/second;burst=20;shadow=true'
    """

    limit: int
    window: int
    algorithm: AlgorithmName = "gcra"
    burst: int = 0
    name: str = ""
    on_failure: OnFailure = "local"
    shadow: bool = False
    # Derived, for the hot path.
    window_us: int = field(init=False, repr=False, compare=False)
    scale: int = field(init=False, repr=False, compare=False)
    interval: int = field(init=False, repr=False, compare=False)
    depth: int = field(init=False, repr=False, compare=False)
    state_key: str = field(init=False, repr=False, compare=False)
    quoted: str = field(init=False, repr=False, compare=False)
    policy: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_numbers(self)
        put = object.__setattr__
        put(self, "burst", self.burst or self.limit)
        put(self, "name", self.name or base_text(self))
        window_us = self.window * 1_000_000
        common = gcd(window_us, self.limit)
        put(self, "window_us", window_us)
        put(self, "scale", self.limit // common)
        put(self, "interval", window_us // common)
        put(self, "depth", self.burst * self.interval)
        # What the counters belong to: a rule that counts differently starts afresh, shadow may be toggled.
        put(self, "state_key", f"{self.name};{self.algorithm};{self.limit};{self.window};{self.burst}")
        # How the rule stands in header fields: its name as a string (RFC 9651 section 4.1.6; no character that
        # would need care is ever in a name), and with its quota and window.
        window = 'qu="concurrent-requests"' if self.algorithm == "concurrency" else f"w={self.window}"
        put(self, "quoted", f'"{self.name}"')
        put(self, "policy", f'"{self.name}";q={self.limit};{window}')
        _check_words(self)

    def __str__(self) -> str:
        return ";".join([base_text(self), *_options(self)])


def base_text(rule: Rule) -> str:
    """Return the part of the rule's text before the first semicolon."""
    if rule.algorithm == "concurrency":
        return f"{rule.limit} concurrent"
    if rule.algorithm == "calendar":
        return f"{rule.limit}/{'day' if rule.window == DAY else 'month'}"
    seconds, unit = next(pair for pair in _UNITS if rule.window % pair[0] == 0)
    many = rule.window // seconds
    return f"{rule.limit}/{unit}" if many == 1 else f"{rule.limit}/{many} {unit}s"


def default_algorithm(*, calendar_month: bool) -> AlgorithmName:
    """Return the algorithm of a rule whose text names none: a month is a quota, the rest are rates."""
    return "calendar" if calendar_month else "gcra"


def _options(rule: Rule) -> list[str]:
    calendar_month = rule.algorithm == "calendar" and rule.window == MONTH
    implied = rule.algorithm in {"concurrency", default_algorithm(calendar_month=calendar_month)}
    table = (
        ("burst", str(rule.burst), rule.burst != rule.limit),
        ("lease", str(rule.window), rule.algorithm == "concurrency" and rule.window != DEFAULT_LEASE),
        ("algorithm", rule.algorithm, not implied),
        ("name", rule.name, rule.name != base_text(rule)),
        ("on_failure", rule.on_failure, rule.on_failure != "local"),
        ("shadow", "true", rule.shadow),
    )
    return [f"{key}={value}" for key, value, shown in table if shown]


def _check_numbers(rule: Rule) -> None:
    calendar = rule.algorithm == "calendar"
    top = MAX_SLOTS if rule.algorithm == "concurrency" else MAX_LIMIT
    table = (
        (
            rule.algorithm in ALGORITHM_NAMES,
            f"algorithm must be one of {', '.join(ALGORITHM_NAMES)}, not {rule.algorithm!r}",
        ),
        (_within(rule.limit, 1, top), f"limit must be a whole number from 1 to {top}"),
        (
            _within(rule.window, 1, MAX_WINDOW),
            f"window must be a whole number of seconds from 1 to {MAX_WINDOW}",
        ),
        (_within(rule.burst, 0, MAX_LIMIT), f"burst must be a whole number from 1 to {MAX_LIMIT}"),
        (not calendar or rule.window in {DAY, MONTH}, "calendar counts a day or a month"),
        (rule.algorithm == "gcra" or rule.burst in {0, rule.limit}, "burst goes with gcra only"),
    )
    _refuse_first(rule, table)


def _check_words(rule: Rule) -> None:
    clean = set(rule.name) <= _NAME_CHARACTERS and rule.name == rule.name.strip()
    table = (
        (
            clean and len(rule.name) <= _MAX_NAME,
            f"name must be at most {_MAX_NAME} letters, digits, '_.:/-' and inner spaces",
        ),
        (
            rule.on_failure in ON_FAILURE_NAMES,
            f"on_failure must be one of {', '.join(ON_FAILURE_NAMES)}, not {rule.on_failure!r}",
        ),
        (type(rule.shadow) is bool, "shadow must be true or false"),
        (
            rule.algorithm != "gcra" or _exact_in_doubles(rule),
            "burst is too large for exact arithmetic at this rate",
        ),
    )
    _refuse_first(rule, table)


def _refuse_first(rule: Rule, table: tuple[tuple[bool, str], ...]) -> None:
    for fine, reason in table:
        if not fine:
            raise InvalidRule(f"{rule.limit}/{rule.window}s", reason)


def _within(number: object, low: int, high: int) -> bool:
    return type(number) is int and low <= number <= high


def _exact_in_doubles(rule: Rule) -> bool:
    # A port to doubles keeps a time as whole microseconds and a remainder below `scale`; its largest products
    # are the burst's share of each.
    return rule.burst * rule.scale <= _EXACT and rule.depth // rule.scale <= _EXACT // 2
