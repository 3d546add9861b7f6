"""The bounds of trace headers, each on both of its sides."""

from __future__ import annotations

import pytest

from tenaudit import ApiError
from tenaudit.security import (
    ContextVerifier,
    SecuritySettings,
    SignatureKey,
    extract_context,
    extract_trace,
    parse_traceparent,
)

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
    rest = [f"k{n}={'v' * 120}" for n in range(4)]
    assert kept(",".join([edge, over, *rest])) == ",".join([edge, *rest[:3]])


def test_long_members_go_until_the_whole_fits() -> None:
    first, last = "a=" + "v" * 198, "z=" + "v" * 200
    rest = ["b=" + "v" * 126, "c=" + "v" * 126, "d=" + "v" * 52]
    assert len(",".join([first, *rest])) == 513
    assert kept(",".join([first, *rest, last])) == ",".join(rest)


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


@pytest.mark.parametrize("name", ["X-Session-ID", "X-Auth-Method"])
def test_a_token_out_of_form_is_left_out(name: str) -> None:
    context = extract_context({"X-Tenant-ID": TENANT, name: "a b"})
    assert (context.session_id, context.auth_method) == (None, "header")


def test_only_whitespace_is_taken_off_a_value() -> None:
    context = extract_context({"X-Tenant-ID": TENANT, "X-Roles": "XCashier, AdminX,\tSupport", "X-User-ID": " Xu-1X\t"})
    assert (context.roles, context.actor.id) == ({"Support"}, "Xu-1X")


@pytest.mark.parametrize(
    ("sent", "kept_agent"),
    [("a" * 512, "a" * 512), ("a" * 513, "a" * 512), ("a\x07b", "a b"), ("a\x07" * 300, "a " * 256), ("\xa0", "\xa0")],
)
def test_a_user_agent_is_cut_and_cleaned(sent: str, kept_agent: str) -> None:
    assert extract_context({"X-Tenant-ID": TENANT, "User-Agent": sent}).user_agent == kept_agent


def test_a_refused_request_has_the_trace_that_it_names() -> None:
    trace = extract_trace([("TraceParent", PARENT), ("tracestate", "a=1"), ("x_roles", "Admin")])
    assert (trace.trace_id, trace.tracestate) == (PARENT[3:35], "a=1")
    assert extract_trace([("X-Trace-ID", "1" * 32)]).trace_id == "1" * 32


def test_the_wording_of_refusals() -> None:
    def message(**headers: str) -> str:
        with pytest.raises(ApiError) as refusal:
            extract_context({name.replace("_", "-"): value for name, value in headers.items()})
        return refusal.value.message

    assert message(X_Tenant_ID="a") == "X-Tenant-ID is not a UUID in canonical text form."
    assert message(X_Tenant_ID=TENANT, X_User_ID="a\x00") == "X-User-ID is too long or holds control characters."
    with pytest.raises(ApiError, match=r"^A header is spelled with underscores\.$") as refusal:
        extract_context([("X_Roles" + "_" * 80, "a"), ("X_Roles", "a")])
    assert refusal.value.errors == ({"field": "x_roles", "message": "takes one value, spelled with hyphens"},)


def test_a_refused_signature_is_logged_with_its_reason_and_trace(caplog: pytest.LogCaptureFixture) -> None:
    key = SignatureKey.hmac_sha256("k1", b"an example secret of 32 bytes!!!")
    settings = SecuritySettings(trust="signed", verifier=ContextVerifier([key]), on_untrusted=lambda _reason: None)
    with pytest.raises(ApiError):
        extract_context({"X-Tenant-ID": TENANT, "traceparent": f" {PARENT}"}, settings=settings)
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("tenaudit.security", "a context is not trusted: no_request")
    told = record.__dict__
    assert (told["action"], told["reason"], told["key_id"]) == ("untrusted_context", "no_request", None)
    assert told["trace_id"] == PARENT[3:35]
