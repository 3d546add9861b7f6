"""Results: medians, ratios in both directions, targets, and the two ways to show them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.report import json_line, table, verdicts
from benchmarks.result import AtMost, Figure, TimesBetter, compare, over

positive = st.floats(min_value=1e-6, max_value=1e6)


def test_a_figure_is_the_median_and_the_quartiles() -> None:
    assert Figure.of([9.0, 1.0, 2.0, 3.0, 100.0]) == Figure(3.0, 2.0, 9.0)
    assert Figure.of([4.0]) == Figure(4.0, 4.0, 4.0)


def test_a_ratio_says_how_many_times_better_ours_is_when_lower_is_better() -> None:
    result = compare("c", {"ours": [1.0, 2.0, 99.0], "slower": [8.0, 8.0, 0.1], "faster": [1.0]}, unit="us")
    assert result.ratio("slower") == 4.0
    assert result.ratio("faster") == 0.5


def test_a_ratio_says_how_many_times_better_ours_is_when_higher_is_better() -> None:
    result = compare("c", {"ours": [900.0], "slower": [300.0], "faster": [1800.0]}, unit="events/s", better="higher")
    assert result.ratio("slower") == 3.0
    assert result.ratio("faster") == 0.5


@given(ours=positive, peer=positive)
def test_the_two_directions_are_each_other_s_inverse(ours: float, peer: float) -> None:
    samples = {"ours": [ours], "peer": [peer]}
    lower = compare("c", samples, unit="us", better="lower").ratio("peer")
    higher = compare("c", samples, unit="us", better="higher").ratio("peer")
    assert lower * higher == pytest.approx(1.0)
    assert (lower > 1.0) == (peer > ours)


def test_a_difference_within_the_noise_has_no_ratio() -> None:
    result = compare("c", {"ours": [-0.1], "peer": [3.0]}, unit="us", targets=[TimesBetter(4, "peer")])
    assert result.ratio("peer") is None
    assert json.loads(json_line(result))["ratio"] == {"peer": None}
    assert verdicts(result) == ["c target: at least 4 times better than peer: cannot be told"]


def test_what_is_over_a_base_is_subtracted_round_by_round() -> None:
    drifting = {"base": [1.0, 10.0, 100.0], "ours": [3.0, 12.0, 102.0], "peer": [1.5, 10.5, 100.5]}
    assert over(drifting, "base") == {"ours": [2.0, 2.0, 2.0], "peer": [0.5, 0.5, 0.5]}


def test_a_json_line_has_the_named_keys_and_no_other() -> None:
    result = compare(
        "emit/x", {"ours": [2e-6], "stdlib": [6e-6]}, unit="us", scale=1e6, targets=[TimesBetter(3, "stdlib")]
    )
    line = json_line(result)
    assert "\n" not in line
    read = json.loads(line)
    assert list(read) == ["case", "unit", "better", "ours", "peers", "ratio"]
    assert (read["case"], read["unit"], read["better"]) == ("emit/x", "us", "lower")
    assert read["ours"] == pytest.approx(2.0)
    assert read["peers"] == {"stdlib": pytest.approx(6.0)}
    assert read["ratio"] == {"stdlib": pytest.approx(3.0)}


@pytest.mark.parametrize(("peer", "said"), [(300.0, "met"), (299.0, "NOT met")])
def test_a_target_against_a_peer_is_met_from_its_bound_on(peer: float, said: str) -> None:
    result = compare("c", {"ours": [3.0], "p": [peer]}, unit="us", targets=[TimesBetter(100, "p")])
    assert verdicts(result) == [f"c target: at least 100 times better than p: {said}"]


@pytest.mark.parametrize(("ours", "said"), [(60.0, "met"), (60.5, "NOT met")])
def test_a_target_for_a_value_is_met_up_to_its_bound(ours: float, said: str) -> None:
    result = compare("c", {"ours": [ours]}, unit="ms", targets=[AtMost(60), AtMost(100)])
    assert verdicts(result) == [f"c target: at most 60 ms: {said}", "c target: at most 100 ms: met"]


def test_a_target_against_a_missing_peer_cannot_be_told() -> None:
    [said] = verdicts(compare("c", {"ours": [3.0]}, unit="us", targets=[TimesBetter(2, "absent")]))
    assert said.endswith("cannot be told")


def test_a_result_without_a_target_has_no_verdict() -> None:
    assert verdicts(compare("c", {"ours": [3.0]}, unit="us")) == []


def test_the_table_shows_every_side_with_median_spread_and_ratio() -> None:
    shown = table([compare("emit", {"ours": [1.0, 2.0, 3.0], "stdlib": [500.0, 500.0, 500.0]}, unit="us")])
    ours, peer = (
        next(line.split() for line in shown.splitlines() if name in line.split()) for name in ("2.00", "stdlib")
    )
    assert ours == ["emit", "ours", "2.00", "us", "1.50", "-", "2.50"]
    assert peer == ["stdlib", "500", "us", "500", "-", "500", "250", "x"]
