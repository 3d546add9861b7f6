"""The bounds of trace headers, each on both of its sides."""

from __future__ import annotations

import pytest

from tenaudit import ApiError
from tenaudit.security import extract_context, parse_traceparent

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
START = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def kept(state: str) -> str:
    return extract_context({"X-Tenant-ID": TENANT, "traceparent": PARENT, "tracestate": state}).trace.tracestate


@pytest.mark.parametrize(("length", "is_read"), [(512, True), (513, False)])
def test_a_traceparent_has_at_most_512_characters(length: int, is_read: bool) -> None:
    assert (parse_traceparent(START.ljust(length, "a")) is not None) is is_read


def test_a_tracestate_of_512_characters_is_kept_whole_and_one_more_is_cut() -> None:
    short = [f"k{n}={'v' * 120}" for n in range(4)]  # four times 123 and three commas: 495
    whole = ",".join([*short, "e=" + "v" * 14])
    assert len(whole) == 512
    assert kept(whole) == whole
    assert kept(whole + "v") == ",".join(short)


def test_a_long_member_goes_only_when_the_whole_is_too_long() -> None:
    long = "a=" + "v" * 254
    whole = f"{long},b={'v' * 253}"
    assert len(whole) == 512
    assert kept(whole) == whole
    assert kept(f"{long},b={'v' * 120},c={'v' * 120},d={'v' * 9}") == f"b={'v' * 120},c={'v' * 120},d={'v' * 9}"


def test_a_member_of_128_characters_is_not_long() -> None:
    edge, over = "a=" + "v" * 126, "b=" + "v" * 127
    rest = [f"k{n}={'v' * 120}" for n in range(3)]
    assert kept(",".join([edge, over, *rest])) == ",".join([edge, *rest])


def test_only_whitespace_is_taken_off_a_member() -> None:
    assert kept("a=1X,\tb=X \t") == "a=1X,b=X"


def test_the_33rd_member_counts_only_when_it_is_one() -> None:
    members = [f"k{n}=1" for n in range(32)]
    assert kept(",".join([*members, " "])) == ",".join(members)
    assert kept(",".join([*members, "z=1"])) == ""
    # Beyond the members that are looked at, even empty ones are too many.
    assert kept("," * 40 + "a=1") == ""


@pytest.mark.parametrize(
    "name", ["X-Tenant-ID", "X-Roles", "X-User-ID", "X-Actor-Type", "X-Session-ID", "X-Auth-Method"]
)
def test_a_repeated_header_is_named_as_it_is_documented(name: str) -> None:
    headers = [("X-Tenant-ID", TENANT), (name, "a"), (name, "a")]
    with pytest.raises(ApiError) as refusal:
        extract_context(headers)
    assert refusal.value.message == f"{name} was sent more than once."
    assert refusal.value.errors == ({"field": name, "message": "takes one value, spelled with hyphens"},)
