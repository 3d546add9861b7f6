"""Hostile header lists through sockets: never a 5xx, never a context or a capability that the oracle would not give."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conformance.http.case import TRACEPARENT
from tests.conformance.http.conftest import ADAPTERS
from tests.conformance.http.kept_connection import REFUSALS, KeptConnection, exchange_or_none
from tests.conformance.http.oracle import NEW, behind_wsgi, fields_of, judge, well_formed
from tests.conformance.http.raw_http import Answer
from tests.conformance.http.shop import TENANT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.http.conftest import Shops

READ = (
    "X-Tenant-ID",
    "X-Roles",
    "X-User-ID",
    "X-Actor-Type",
    "X-Session-ID",
    "X-Auth-Method",
    "X-Trace-ID",
    "traceparent",
    "tracestate",
    "User-Agent",
)
ROLES = ("SuperAdmin", "Admin", "Manager", "Inventory", "Cashier", "Support")


def latin(text: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    return text.map(lambda value: value.encode("latin-1"))


_role = st.sampled_from([*ROLES, *(role.upper() for role in ROLES), "root", "", "Admin;", '"Admin"', "\xc0dmin"])
_plausible = {
    "X-Tenant-ID": st.sampled_from([TENANT, TENANT.upper(), TENANT[:-1], f"{{{TENANT}}}", "0" * 36, ""]),
    "X-Roles": st.lists(_role, max_size=4).map(",".join) | st.lists(_role, max_size=3).map(" ,\t".join),
    "X-User-ID": st.sampled_from(["u-1", "\xe9" * 128, "\xe9" * 129, "u" * 256, "u" * 257, "a,b", "auth0|a b", "\xa0"]),
    "X-Actor-Type": st.sampled_from(["user", "system", "SYSTEM", "root", ""]),
    "X-Session-ID": st.sampled_from(["s-1", "s" * 128, "s" * 129, "a b", "=+/"]),
    "X-Auth-Method": st.sampled_from(["jwt", "j\xfct", "a,b"]),
    "X-Trace-ID": st.sampled_from(["1" * 32, "0" * 32, "A" * 32, "1" * 31]),
    "traceparent": st.sampled_from(
        [TRACEPARENT, TRACEPARENT.upper(), f"cc{TRACEPARENT[2:]}-x", f"ff{TRACEPARENT[2:]}"]
    ),
    "tracestate": st.lists(st.sampled_from(["a=1", "b=2", "a", "t@v=x", "A=1", f"c={'x' * 200}", ""]), max_size=5).map(
        ",".join
    ),
    "User-Agent": st.sampled_from(["curl/8", "a" * 600, "\xad", ""]),
}
# Control characters, what is not ASCII, line ends that are none, folding, and length.
_piece = st.one_of(
    st.binary(min_size=1, max_size=3),
    st.sampled_from(
        [
            *(b"\x00", b"\x01", b"\x0b", b"\x1b", b"\x7f", b"\x85", b"\xff", "é\u2028".encode()),
            *(b",", b" ", b"\t", b";", b"\r", b"\n", b"\r\n ", b"\r\n\t", b"\n\n"),
            *(
                b"\r\nX-Roles: SuperAdmin",
                b"\nX-Roles: SuperAdmin",
                b"\r\n X-Roles: SuperAdmin",
                b"x" * 300,
                b"x" * 9000,
            ),
        ]
    ),
)


@st.composite
def _spelling(draw: Any, name: str) -> bytes:
    """Spell a name in a way that some server may fold into it."""
    letters = [
        draw(st.sampled_from("-_")) if letter == "-" else draw(st.sampled_from([letter.lower(), letter.upper()]))
        for letter in name
    ]
    before, after = draw(
        st.sampled_from([("", "")] * 5 + [(" ", ""), ("", " "), ("", "\t"), ("\x00", ""), ("", "\xad")])
    )
    return f"{before}{''.join(letters)}{after}".encode("latin-1")


@st.composite
def _line(draw: Any) -> bytes:
    name = draw(st.sampled_from((*READ, "X-User-ID", "X-Roles")))
    value: bytes = draw(latin(_plausible[name]))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(value)))
        value = value[:at] + draw(_piece) + value[at:]
    spelled: bytes = draw(st.one_of(st.just(name.encode()), st.just(name.encode()), _spelling(name)))
    colon: bytes = draw(st.sampled_from([b": ", b":", b": ", b":\t "]))
    return spelled + colon + value


_hop = st.sampled_from(
    [b"Connection: X-Tenant-ID", b"Connection: close, X-Roles, X-Tenant-ID", b"X-Forwarded-User: root"]
)
_sections = st.tuples(
    st.sampled_from([[b"X-Tenant-ID: " + TENANT.encode()]] * 4 + [[]]),
    st.lists(_line(), max_size=6),
    st.lists(_hop, max_size=1),
).flatmap(lambda parts: st.permutations([line for part in parts for line in part]).map(b"\r\n".join))


def whoami_request(section: bytes) -> bytes:
    return b"\r\n".join([b"GET /whoami HTTP/1.1", b"Host: shop.test", *([section] if section else []), b"", b""])


def shown(adapter: str, section: bytes) -> list[tuple[str, str]]:
    """Return the fields that the application of an adapter is shown."""
    fields = fields_of(section)
    return behind_wsgi(fields) if adapter == "flask" else fields


def check(adapter: str, section: bytes, answer: Answer | None) -> None:
    """Compare an answer of /whoami with what the oracle makes of the same bytes."""
    if answer is None or (answer.header("x-error-code") is None and answer.status != 200):
        # The server's own refusal, of what is not to be taken.
        assert answer is None or answer.status in REFUSALS, (answer, section)
        assert not well_formed(section), (answer, section)
        return
    judgement = judge(shown(adapter, section))
    if answer.status == 200:
        assert not judgement.codes
        context = json.loads(answer.body)
        if judgement.context["trace"][0] == NEW:
            assert context["trace"][0].encode() not in section
            judgement.context["trace"][0] = context["trace"][0]
        assert context == judgement.context
        assert answer.header("x-trace-id") == context["trace"][0]
    else:
        assert answer.status == 400
        assert answer.header("x-error-code") in judgement.codes
        body = json.loads(answer.body)
        assert (body["code"], body["trace_id"]) == (answer.header("x-error-code"), answer.header("x-trace-id"))


@pytest.fixture(scope="module", params=ADAPTERS)
def connection(request: pytest.FixtureRequest, shops: Shops) -> Iterator[tuple[str, KeptConnection]]:
    with KeptConnection(shops.port(request.param, "mesh")) as kept:
        yield request.param, kept


def _honest(*lines: bytes) -> bytes:
    return b"\r\n".join([b"X-Tenant-ID: " + TENANT.encode(), *lines])


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(section=_sections)
@example(section=b"")
@example(section=_honest(b"X-Roles: Cashier", b"X-Roles: SuperAdmin"))
@example(section=_honest(b"X-Roles: Cashier", b"X_Roles: SuperAdmin"))
@example(section=_honest(b"X-Roles: Cashier", b" ,SuperAdmin"))
@example(section=_honest(b"X-User-ID: u-1\nX-Roles: SuperAdmin"))
@example(section=_honest(b"X-User-ID: u-1\rX-Roles: SuperAdmin"))
@example(section=_honest(b"X-User-ID: u-1\n\nX-Roles: SuperAdmin"))
@example(section=_honest(b"X-User-ID: u-1,u-2"))
@example(section=_honest(b"X-User-ID: " + b"u" * 257))
@example(section=_honest(b"X-User-ID: u\x01"))
@example(section=_honest(b"X-User-ID: u\x85"))
@example(section=_honest(b"X-User-ID: \xa0"))
@example(section=_honest(b"X-Session-ID: a\x1bb"))
@example(section=_honest(b"User-Agent: a\x85b"))
@example(section=_honest(b"X-Trace-ID: " + b"1" * 32, b"X-Trace-ID: " + b"1" * 32))
@example(section=_honest(f"traceparent: {TRACEPARENT}".encode(), b"tracestate: a=1,A=2"))
@example(section=b"Connection: close, X-Tenant-ID\r\n" + _honest(b"X-Roles: Cashier"))
def test_any_header_list_gives_what_the_oracle_gives(connection: tuple[str, KeptConnection], section: bytes) -> None:
    adapter, kept = connection
    # With line ends in a value, one request may be two; the next must not read the second's answer.
    answer = kept.exchange(whoami_request(section), last=not well_formed(section))
    check(adapter, section, answer)


CASHIER = f"X-Tenant-ID: {TENANT}\r\nX-Roles: Cashier\r\nX-User-ID: u-1".encode()
# Each of these beside one honest `X-Roles: Cashier`, or in its place; none may reach what a cashier may not.
SMUGGLED = {
    "underscore": b"X_Roles: SuperAdmin",
    "underscore-lower": b"x_roles: SuperAdmin",
    "space-before-colon": b"X-Roles : SuperAdmin",
    "tab-before-colon": b"X-Roles\t: SuperAdmin",
    "space-before-name": b" X-Roles: SuperAdmin",
    "nul-after-name": b"X-Roles\x00: SuperAdmin",
    "nul-before-value": b"X-Roles: \x00SuperAdmin",
    "soft-hyphen-in-name": b"X\xadRoles: SuperAdmin",
    "utf-8-hyphen-in-name": "X\u2010Roles: SuperAdmin".encode(),
    "dot-for-hyphen": b"X.Roles: SuperAdmin",
    "no-hyphen": b"XRoles: SuperAdmin",
    "cgi-name": b"HTTP_X_ROLES: SuperAdmin",
    "cgi-name-hyphens": b"HTTP-X-Roles: SuperAdmin",
    "folded-into-the-one-before": b"X-Other: 1\r\n X-Roles: SuperAdmin",
    "folded-value": b"X-Other:\r\n SuperAdmin",
    "folded-by-tab": b"X-Other: 1\r\n\tX-Roles: SuperAdmin",
    "bare-cr": b"X-Other: 1\rX-Roles: SuperAdmin",
    "vertical-tab": b"X-Other: 1\x0bX-Roles: SuperAdmin",
    "next-line": b"X-Other: 1\x85X-Roles: SuperAdmin",
    "line-separator": "X-Other: 1\u2028X-Roles: SuperAdmin".encode(),
    "forwarded-roles": b"X-Forwarded-Roles: SuperAdmin",
    "forwarded-user": b"X-Forwarded-User: root",
    "original-url": b"X-Original-URL: /hello",
    "rewrite-url": b"X-Rewrite-URL: /hello",
    "method-override": b"X-HTTP-Method-Override: OPTIONS",
    "script-name": b"SCRIPT_NAME: /hello",
    "path-info": b"PATH_INFO: /hello",
    "remote-user": b"REMOTE_USER: root",
    "cookie": b"Cookie: X-Roles=SuperAdmin; roles=SuperAdmin",
    "hop-by-hop": b"Connection: close, X-Roles, X-User-ID",
    "trailer-announced": b"Trailer: X-Roles",
    "unknown-encoding": b"X-Roles-Encoding: base64",
    "actor-type": b"X-Actor-Type: system",
    "auth-method": b"X-Auth-Method: system",
}


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("line", SMUGGLED.values(), ids=SMUGGLED)
def test_no_line_beside_the_honest_ones_adds_a_capability(line: bytes, adapter: str, shops: Shops) -> None:
    port = shops.port(adapter, "mesh")
    for section in (CASHIER + b"\r\n" + line, line + b"\r\n" + CASHIER):
        request = whoami_request(section).replace(b"/whoami", b"/cap/gdpr_manage")
        answer = exchange_or_none(port, request)
        assert answer is None or answer.status in {403, *REFUSALS}
        check(adapter, section, exchange_or_none(port, whoami_request(section)))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_trailer_is_no_header(adapter: str, shops: Shops) -> None:
    head = b"POST /things/1 HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    request = head + CASHIER + b"\r\n\r\n1\r\nx\r\n0\r\nX-Roles: SuperAdmin\r\n\r\n"
    answer = exchange_or_none(shops.port(adapter, "mesh"), request)
    assert answer is None or answer.status in {403, *REFUSALS}


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("size", [8_000, 20_000, 70_000, 300_000])
@pytest.mark.parametrize("name", ["X-Roles", "X-User-ID", "X-Tenant-ID", "X-Other", "traceparent", "tracestate"])
def test_long_values_are_refused_or_read_but_never_fail(name: str, size: int, adapter: str, shops: Shops) -> None:
    value = ",".join(["Root"] * (size // 5)) if name == "X-Roles" else "a" * size
    section = f"X-Tenant-ID: {TENANT}\r\n{name}: {value}".encode()
    answer = exchange_or_none(shops.port(adapter, "mesh"), whoami_request(section))
    check(adapter, section, answer)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("count", [90, 2_000])
def test_many_headers_are_refused_or_read_but_never_fail(count: int, adapter: str, shops: Shops) -> None:
    section = b"\r\n".join([CASHIER, *(b"X-Other-%d: 1" % at for at in range(count))])
    answer = exchange_or_none(shops.port(adapter, "mesh"), whoami_request(section))
    assert answer is None or answer.status == 200 or answer.status in REFUSALS
    assert count > 90 or (answer is not None and answer.status == 200)
