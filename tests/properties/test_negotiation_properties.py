"""Properties of content negotiation and of the way back from a response: nothing raises, nothing is lost."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tenaudit.errors import Accept, ApiError, error_reply, prefers_problem

TRACE = "0af7651916cd43dd8448eb211c80319c"
PROBLEM = "application/problem+json"

_anything = st.text(st.characters(exclude_categories=[]))
_piece = st.sampled_from([PROBLEM, "application/json", "*/*", "application/*", ";q=", "0.5", "nan", ",", " ", "=", "1"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
_members = ["code", "message", "detail", "errors", "retry_after", "missing_role", "trace_id"]


@given(accept=st.one_of(_anything, st.lists(_piece, max_size=30).map("".join)))
def test_no_accept_header_raises(accept):
    reply = error_reply(ApiError.not_found(), TRACE, accept=accept)
    assert dict(reply.headers)["content-type"] == (PROBLEM if prefers_problem(accept) else "application/json")


@given(problem=st.integers(0, 1000), plain=st.none() | st.integers(0, 1000), rest=st.none() | st.integers(0, 1000))
def test_the_higher_weight_wins_and_the_more_specific_range_counts(problem, plain, rest):
    ranges = [f"{PROBLEM};q={problem / 1000}"]
    if plain is not None:
        ranges.append(f"application/json;q={plain / 1000}")
    if rest is not None:
        ranges.append(f"*/*;q={rest / 1000}")
    against = plain if plain is not None else rest or 0
    assert prefers_problem(", ".join(ranges)) is (problem > 0 and problem >= against)
    assert prefers_problem(",".join(reversed(ranges))) is (problem > 0 and problem >= against)


_errors = st.lists(st.fixed_dictionaries({"field": st.text(max_size=9), "message": st.text(max_size=9)}), max_size=3)


@given(
    status=st.integers(400, 599),
    code=st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True),
    message=st.text(),
    missing=st.none() | st.text(),
    errors=_errors,
    wait=st.none() | st.integers(0, 10**9),
    accept=st.sampled_from(["", PROBLEM]),
)
def test_an_error_survives_the_wire(status, code, message, missing, errors, wait, accept):
    error = ApiError(status, code, message, missing_role=missing, errors=errors, retry_after=wait)
    reply = error_reply(error, TRACE, accept=accept)
    back = ApiError.from_response(reply.status, dict(reply.headers), reply.body)
    assert (back.status, back.code, back.message, back.retry_after) == (status, code, message, wait)
    assert (back.missing_role, list(back.errors)) == (missing, errors)


@given(
    status=st.integers(400, 599),
    headers=st.dictionaries(st.sampled_from(["X-Error-Code", "retry-after", "x"]), _anything, max_size=3),
    body=st.one_of(
        st.binary(),
        _anything,
        st.dictionaries(st.sampled_from(_members), _json),
        st.dictionaries(st.sampled_from(_members), _json).map(lambda data: json.dumps(data).encode()),
    ),
)
def test_any_response_gives_an_error_that_can_be_sent_again(status, headers, body):
    error = ApiError.from_response(status, headers, body)
    assert error.status == status
    json.loads(error_reply(error, TRACE).body)


@given(errors=st.lists(st.dictionaries(st.text(max_size=5), _json, max_size=3), max_size=3), message=_anything)
def test_any_error_list_gives_a_reply_of_strict_json(errors, message):
    def refuse(constant):
        raise AssertionError(constant)

    reply = error_reply(ApiError.unprocessable(message or "x", errors=errors), TRACE)
    assert json.loads(reply.body, parse_constant=refuse)["code"] == "unprocessable"
    assert dict(reply.headers)["content-length"] == str(len(reply.body))


_types = st.sampled_from([PROBLEM, "application/json", "application/*", "*/*", "text/html", "text/*"])


@given(ranges=st.dictionaries(_types, st.integers(0, 1000), max_size=6), data=st.data())
def test_the_order_and_the_spelling_of_ranges_do_not_matter(ranges, data):
    plain = ", ".join(f"{media};q={weight / 1000}" for media, weight in ranges.items())
    spelled = [
        data.draw(st.sampled_from([media, media.upper(), f" {media}\t"]))
        + data.draw(st.sampled_from([";q=", " ; Q=", ";\tq="]))
        + f"{weight / 1000:.3f}"
        for media, weight in data.draw(st.permutations(list(ranges.items())))
    ]
    first, second = Accept(plain), Accept(",".join(spelled))
    for media in (PROBLEM, "application/json", "text/html", "image/png"):
        assert first.weight(media) == second.weight(media)
        assert first.names(media) == second.names(media) == (media in ranges)
    assert prefers_problem(plain) == prefers_problem(",".join(spelled))


@given(ranges=st.dictionaries(_types, st.integers(0, 1000), max_size=6))
def test_the_best_offer_is_wanted_most(ranges):
    accept = Accept(",".join(f"{media};q={weight / 1000}" for media, weight in ranges.items()))
    offers = ("text/html", "application/json", PROBLEM)
    best = accept.best(*offers)
    weights = [accept.weight(offer) for offer in offers]
    assert (best is None) == (max(weights) == 0)
    assert best is None or accept.weight(best) == max(weights)


@given(accept=_anything)
def test_any_accept_header_has_weights(accept):
    assert 0 <= Accept(accept).weight(PROBLEM) <= 1
