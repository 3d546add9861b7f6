"""W3C Trace Context, level 2: continued, or restarted as the standard says."""

from __future__ import annotations

from tests.conformance.http.case import IDENTITY, TRACE_ID, Case, Headers, who

PARENT = "b7ad6b7169203331"
BARE: Headers = [pair for pair in IDENTITY if pair[0] != "traceparent"]
RESTARTED = who(trace=["{trace}", None, False, ""])

INVALID = {
    "upper-case": f"00-{TRACE_ID.upper()}-{PARENT}-01",
    "version-ff": f"ff-{TRACE_ID}-{PARENT}-01",
    "version-upper": f"0A-{TRACE_ID}-{PARENT}-01",
    "zero-trace": f"00-{'0' * 32}-{PARENT}-01",
    "zero-parent": f"00-{TRACE_ID}-{'0' * 16}-01",
    "short-trace": f"00-{TRACE_ID[:-1]}-{PARENT}-01",
    "long-trace": f"00-{TRACE_ID}a-{PARENT}-01",
    "short-parent": f"00-{TRACE_ID}-{PARENT[:-1]}-01",
    "one-flag-digit": f"00-{TRACE_ID}-{PARENT}-1",
    "flags-not-hex": f"00-{TRACE_ID}-{PARENT}-0x",
    "more-in-version-00": f"00-{TRACE_ID}-{PARENT}-01-more",
    "dash-at-the-end": f"00-{TRACE_ID}-{PARENT}-01-",
    "no-flags": f"00-{TRACE_ID}-{PARENT}",
    "underscores": f"00_{TRACE_ID}_{PARENT}_01",
    "future-without-dash": f"cc-{TRACE_ID}-{PARENT}-01.more",
    "two-joined": f"00-{TRACE_ID}-{PARENT}-01,00-{TRACE_ID}-{PARENT}-01",
    "empty": "",
    "word": "nothing",
    "very-long": f"cc-{TRACE_ID}-{PARENT}-01-" + "a" * 600,
}
STATES = {
    "one": ("a=1", "a=1"),
    "several": ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
    "whitespace": (" a=1 ,\tb=2 ", "a=1,b=2"),
    "empty-members": ("a=1,,b=2,", "a=1,b=2"),
    "tenant-key": ("t1@vendor=x", "t1@vendor=x"),
    "duplicate-keys": ("a=1,a=2", ""),
    "upper-case-key": ("A=1", ""),
    "no-value": ("a=", ""),
    "no-equals": ("a", ""),
    "too-many": (",".join(f"k{n}=1" for n in range(33)), ""),
    "exactly-32": (",".join(f"k{n}=1" for n in range(32)), ",".join(f"k{n}=1" for n in range(32))),
    "long-ones-go-first": (f"a=1,b={'x' * 200},c={'y' * 250},d={'z' * 120}", f"a=1,b={'x' * 200},d={'z' * 120}"),
}

CASES = [
    Case("trace/continued", who()),
    Case(
        "trace/not-sampled",
        who(trace=["{trace}", PARENT, False, ""]),
        headers=[*BARE, ("traceparent", f"00-{TRACE_ID}-{PARENT}-00")],
    ),
    Case("trace/other-flags", who(), headers=[*BARE, ("traceparent", f"00-{TRACE_ID}-{PARENT}-ff")]),
    Case("trace/random-flag", who(), headers=[*BARE, ("traceparent", f"00-{TRACE_ID}-{PARENT}-03")]),
    Case(
        "trace/digits-only",
        who(trace=["{trace}", "1" * 16, True, ""]),
        headers=[*BARE, ("traceparent", f"00-{'1' * 32}-{'1' * 16}-01")],
    ),
    Case("trace/higher-version", who(), headers=[*BARE, ("traceparent", f"cc-{TRACE_ID}-{PARENT}-01-what-comes")]),
    Case("trace/higher-version-plain", who(), headers=[*BARE, ("traceparent", f"01-{TRACE_ID}-{PARENT}-01")]),
    Case("trace/whitespace-around", who(), headers=[*BARE, ("traceparent", f" 00-{TRACE_ID}-{PARENT}-01 ")]),
    Case("trace/name-in-other-case", who(), headers=[*BARE, ("TraceParent", f"00-{TRACE_ID}-{PARENT}-01")]),
    *(
        Case(f"trace/invalid-{name}", RESTARTED, headers=[*BARE, ("traceparent", value)])
        for name, value in INVALID.items()
    ),
    Case("trace/twice", RESTARTED, headers=[*IDENTITY, ("traceparent", f"00-{TRACE_ID}-{PARENT}-01")]),
    Case("trace/absent", RESTARTED, headers=BARE),
    Case("trace/bare-id", RESTARTED, headers=[*BARE, ("X-Trace-ID", "1" * 32)]),
    Case("trace/bare-id-out-of-form", RESTARTED, headers=[*BARE, ("X-Trace-ID", "a\xfc" * 16)]),
    Case("trace/bare-id-loses", who(), headers=[*IDENTITY, ("X-Trace-ID", "1" * 32)]),
    *(
        Case(
            f"tracestate/{name}", who(trace=["{trace}", PARENT, True, kept]), headers=[*IDENTITY, ("tracestate", sent)]
        )
        for name, (sent, kept) in STATES.items()
    ),
    Case(
        "tracestate/two-headers",
        who(trace=["{trace}", PARENT, True, "a=1,b=2"]),
        headers=[*IDENTITY, ("tracestate", "a=1"), ("tracestate", "b=2")],
    ),
    Case("tracestate/without-parent", RESTARTED, headers=[*BARE, ("tracestate", "a=1")]),
]
