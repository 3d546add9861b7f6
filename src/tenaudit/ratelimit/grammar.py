"""Rules as text: `100/minute`, `10/second;burst=20`, `5 concurrent;lease=30`, `100000/month`.

Grammar (spaces around parts are free; at most 256 characters; read once, left to right):

    rule   = amount "/" [ count ] unit *( ";" option )  |  amount "concurrent" *( ";" option )
    unit   = second | minute | hour | day | week | month, their plurals, and s, sec, min, h, hr, d, w
    option = burst | algorithm | name | lease | shadow | on_failure, each "key=value", at most once

`/month` is a quota: it counts the UTC calendar month. `/day` is a rate: any 24 hours, refilled continuously
(gcra); `;algorithm=calendar` makes it the UTC day, midnight to midnight. `/month;algorithm=gcra` is 30 days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenaudit.ratelimit.rules import (
    ALGORITHM_NAMES,
    DAY,
    DEFAULT_LEASE,
    MONTH,
    ON_FAILURE_NAMES,
    InvalidRule,
    Rule,
    default_algorithm,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["parse_rule"]

_MAX_TEXT = 256
_MAX_DIGITS = 15
_UNITS = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "min": 60, "minute": 60, "minutes": 60,
    "h": 3_600, "hr": 3_600, "hour": 3_600, "hours": 3_600,
    "d": DAY, "day": DAY, "days": DAY,
    "w": 7 * DAY, "week": 7 * DAY, "weeks": 7 * DAY,
    "month": MONTH, "months": MONTH,
}  # fmt: skip


def parse_rule(text: str) -> Rule:
    """Read one rule; `str(rule)` gives text that reads back as an equal rule.

    Raises:
        InvalidRule: the text is not a rule; the message says which part and why.

    Example:
        >>> rule = parse_rule("10/second;burst=20;name=search")
        >>> rule.limit, rule.window, rule.burst, rule.name
        (10, 1, 20, 'search')
        >>> parse_rule("100000/month").algorithm
        'calendar'
        >>> parse_rule("ten/minute")
        Traceback (most recent call last):
        ...
        tenaudit.ratelimit.rules.InvalidRule: invalid rate limit rule 'ten/minute': 'ten' is not a whole number
    """
    if not isinstance(text, str):
        raise InvalidRule(repr(text), "a rule is text such as '100/minute'")
    try:
        return _parse(text)
    except InvalidRule as error:
        raise InvalidRule(text, error.reason) from None


def _parse(text: str) -> Rule:
    if len(text) > _MAX_TEXT:
        raise InvalidRule(text, f"longer than {_MAX_TEXT} characters")
    base, *rest = text.split(";")
    options = _options(text, rest)
    amount, slash, per = base.partition("/")
    fields = _per_window(text, per, options) if slash else _concurrent(text, base, options)
    if not slash:
        amount = base.split()[0]
    return Rule(limit=_number(text, amount), **fields, **options)


def _per_window(text: str, per: str, options: dict[str, Any]) -> dict[str, Any]:
    per = per.strip()
    unit = per.lstrip("0123456789")
    digits = per[: len(per) - len(unit)]
    word = unit.strip()
    seconds = _UNITS.get(word)
    if seconds is None:
        raise InvalidRule(text, f"{word!r} is not a unit of time: second, minute, hour, day, week or month")
    single = not digits or _number(text, digits) == 1
    month = seconds == MONTH
    if month and not single:
        raise InvalidRule(text, "several months have no fixed length; write days")
    algorithm = options.pop("algorithm", default_algorithm(calendar_month=month))
    if algorithm == "concurrency" or "lease" in options:
        raise InvalidRule(text, "concurrency and its lease are written 'N concurrent;lease=SECONDS'")
    if algorithm == "calendar" and not (single and seconds in {DAY, MONTH}):
        raise InvalidRule(text, "calendar counts one day or one month")
    return {"window": seconds if single else seconds * _number(text, digits), "algorithm": algorithm}


def _concurrent(text: str, base: str, options: dict[str, Any]) -> dict[str, Any]:
    words = base.split()
    if len(words) != 2 or words[1] != "concurrent":
        raise InvalidRule(text, "expected 'N/unit' or 'N concurrent'")
    if options.pop("algorithm", "concurrency") != "concurrency":
        raise InvalidRule(text, "'N concurrent' is counted by concurrency")
    return {"window": options.pop("lease", DEFAULT_LEASE), "algorithm": "concurrency"}


def _options(text: str, parts: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in parts:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in _READERS:
            raise InvalidRule(text, f"unknown option {key!r}; known: {', '.join(sorted(_READERS))}")
        if not equals or not value:
            raise InvalidRule(text, f"option {key} needs a value")
        if key in found:
            raise InvalidRule(text, f"option {key} is given twice")
        found[key] = _READERS[key](text, value)
    return found


def _number(text: str, word: str) -> int:
    word = word.strip()
    if not (word.isascii() and word.isdigit()):
        raise InvalidRule(text, f"{word!r} is not a whole number")
    if len(word) > _MAX_DIGITS:
        raise InvalidRule(text, f"a number has more than {_MAX_DIGITS} digits")
    number = int(word)
    if number == 0:
        raise InvalidRule(text, "a number is 0; the least is 1")
    return number


def _one_of(*words: str) -> Callable[[str, str], str]:
    def read(text: str, value: str) -> str:
        if value not in words:
            raise InvalidRule(text, f"{value!r} is none of {', '.join(words)}")
        return value

    return read


def _flag(text: str, value: str) -> bool:
    return _one_of("true", "false")(text, value) == "true"


def _word(_text: str, value: str) -> str:
    return value


_READERS: dict[str, Callable[[str, str], Any]] = {
    "algorithm": _one_of(*ALGORITHM_NAMES),
    "burst": _number,
    "lease": _number,
    "name": _word,
    "on_failure": _one_of(*ON_FAILURE_NAMES),
    "shadow": _flag,
}
