"""Signed contexts as properties: a round trip, no alteration passes, nothing but a refusal comes of garbage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenaudit import ApiError
from tenaudit.security import SignedTarget
from tests.unit.security.signed import TENANT, Pair, Pairs

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.|@", min_size=1, max_size=30)
TARGETS = st.builds(
    SignedTarget,
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.sampled_from(["orders", "orders.internal:8080"]),
    st.text("abc/%20?=&", max_size=30).map("/{}".format),
)


@st.composite
def identities(draw: st.DrawFn) -> Pairs:
    optional = st.dictionaries(st.sampled_from(["X-User-ID", "X-Session-ID", "X-Auth-Method"]), NAMES, max_size=3)
    roles = draw(st.lists(st.sampled_from(["Cashier", "Admin", "Support"]), max_size=3))
    return [("X-Tenant-ID", TENANT), ("X-Roles", ",".join(roles)), *draw(optional).items()]


@given(identities(), TARGETS)
def test_what_is_signed_is_read(headers: Pairs, request: SignedTarget) -> None:
    pair = Pair()
    context = pair.read(pair.sent(headers, request), request)
    assert str(context.tenant_id) == TENANT


@given(identities(), TARGETS, st.data())
def test_one_changed_character_is_refused(headers: Pairs, request: SignedTarget, data: st.DataObject) -> None:
    pair = Pair()
    sent = pair.sent(headers, request)
    place = data.draw(st.sampled_from([n for n, (_, value) in enumerate(sent) if value]))
    name, value = sent[place]
    at = data.draw(st.integers(0, len(value) - 1))
    new = data.draw(st.characters(exclude_categories=[]).filter(lambda c: c != value[at]))
    sent[place] = (name, value[:at] + new + value[at + 1 :])
    with pytest.raises(ApiError) as refusal:
        pair.read(sent, request)
    assert refusal.value.code == "untrusted_context"


@given(TARGETS, TARGETS)
def test_another_request_is_refused(signed: SignedTarget, received: SignedTarget) -> None:
    pair = Pair()
    sent = pair.sent(request=signed)
    same = signed._replace(target=signed.target.removesuffix("?")) == received._replace(
        target=received.target.removesuffix("?")
    )
    if same:
        assert pair.read(sent, received).actor.id == "u-1"
    else:
        with pytest.raises(ApiError):
            pair.read(sent, received)


SCRAPS = st.lists(
    st.sampled_from(
        ["tenaudit", "=", "(", ")", '"@path"', '"', ";", "created", "1", ":", "AAAA", ",", " ", "\\", "?1", "tag", "-"]
    ),
    max_size=40,
).map("".join)


@given(st.one_of(SCRAPS, st.text(max_size=200)), st.one_of(SCRAPS, st.text(max_size=200)))
def test_garbage_is_refused_and_nothing_else(inputs: str, signature: str) -> None:
    pair = Pair()
    headers = [("X-Tenant-ID", TENANT), ("Signature-Input", inputs), ("Signature", signature)]
    with pytest.raises(ApiError) as refusal:
        pair.read(headers)
    assert refusal.value.status == 401


@pytest.mark.parametrize("scrap", ['"a" ', ";a=1", "(", "a=(),", ';a="\\\\', "a=:A:,", '("@path"', ";", '"a";b '])
@pytest.mark.parametrize("start", ["", "tenaudit=("])
def test_the_longest_fields_are_read_to_an_end(scrap: str, start: str) -> None:
    """A pattern that backtracks would not come back within the limit that every test has."""
    pair = Pair()
    field = start + scrap * ((4096 - len(start)) // len(scrap))
    pair.refused([("Signature-Input", field), ("Signature", field)], "malformed")
