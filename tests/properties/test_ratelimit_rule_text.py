"""Rule text: whatever is written reads back equal, and nothing but InvalidRule ever comes out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenaudit.ratelimit import InvalidRule, Rule, parse_rule

NAMES = st.from_regex(r"[A-Za-z0-9_.:/-]([A-Za-z0-9_.:/ -]{0,30}[A-Za-z0-9_.:/-])?", fullmatch=True) | st.just("")
COMMON = {"name": NAMES, "on_failure": st.sampled_from(["open", "closed", "local"]), "shadow": st.booleans()}
RULES = st.one_of(
    st.builds(Rule, limit=st.integers(1, 10**6), window=st.integers(1, 10**7), burst=st.integers(0, 200), **COMMON),
    st.builds(
        Rule,
        limit=st.integers(1, 10**12),
        window=st.integers(1, 366 * 86_400) | st.sampled_from([1, 60, 3_600, 86_400, 604_800, 2_592_000]),
        algorithm=st.sampled_from(["fixed_window", "sliding_window"]),
        **COMMON,
    ),
    st.builds(
        Rule,
        limit=st.integers(1, 10**12),
        window=st.sampled_from([86_400, 2_592_000]),
        algorithm=st.just("calendar"),
        **COMMON,
    ),
    st.builds(
        Rule,
        limit=st.integers(1, 10_000),
        window=st.integers(1, 10_000),
        algorithm=st.just("concurrency"),
        **COMMON,
    ),
)
PIECES = st.sampled_from(
    ["1", "100", "/", "minute", " ", ";", "=", "burst", "name", "shadow", "true", "concurrent", "month", "lease",
     "algorithm", "calendar", "gcra", "0", "-", "٣", "9" * 40, "\x00", "open", "on_failure", "s"]
)  # fmt: skip


@given(RULES)
def test_text_reads_back_as_an_equal_rule(rule):
    again = parse_rule(str(rule))
    assert again == rule
    assert str(again) == str(rule)
    assert again.state_key == rule.state_key


@given(st.text() | st.lists(PIECES, max_size=14).map("".join) | st.none() | st.integers())
def test_anything_is_a_rule_or_an_invalid_rule(text):
    try:
        rule = parse_rule(text)
    except InvalidRule as error:
        rule, refusal = None, error
    assert parse_rule(str(rule)) == rule if rule else refusal.code == "invalid_rule"
