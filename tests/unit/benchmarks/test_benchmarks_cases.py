"""The command line and every case in tiny rounds: nothing here looks at how fast anything is."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from benchmarks import cases
from benchmarks.__main__ import main
from benchmarks.peer import Peer, installed
from benchmarks.rounds import Contender

EXPECTED = {
    "emit": {"emit": {"queuehandler", "structlog", "opentelemetry"}},
    "export": {
        "export/ndjson": {"naive"},
        "export/csv": {"naive"},
        "export/memory": {"naive", "ours, a fifth"},
    },
    "extract": {"extract": {"otel-tracecontext", "pyjwt-hs256"}},
    "import_time": {
        name: {"starlette", "pydantic", "structlog"} for name in ("import_time/tenaudit", "import_time/names")
    },
    "ingest": {"ingest": {"copy"}},
    "middleware": {
        "middleware/added": {"basehttpmiddleware"},
        "middleware/added-with-event": {"basehttpmiddleware"},
        "middleware/request": {"starlette", "basehttpmiddleware"},
    },
    "pipeline": {"pipeline/p50": set(), "pipeline/p99": set()},
    "policy": {f"policy/{name}": {"pycasbin", "pycasbin-fast", "cedarpy"} for name in ("allow", "deny", "mix")}
    | {f"policy/cedar-{name}": {"cedarpy"} for name in ("allow", "deny") if find_spec("cedarpy")},
    "purge": {"purge": {"rows", "DELETE"}},
    "query": {f"query/{depth}": {"offset"} for depth in ("first", "middle", "last")}
    | {"query/actor": set(), "query/flat": {"first page"}},
    "seal": {"seal/sqlite": {"append"}, "seal/postgres": {"append"}},
    "verify": {
        "verify/sqlite": {"sha256"},
        "verify/postgres": {"sha256"},
        "verify/million": set(),
        "verify/memory": set(),
    },
}
ON_POSTGRES = {"export", "ingest", "pipeline", "purge", "query", "seal", "verify"}
ON_KAFKA = {"kafka_sink", "pipeline"}


def test_the_first_cases_are_there() -> None:
    assert EXPECTED.keys() <= set(cases.names())


@pytest.mark.parametrize("name", cases.names())
def test_a_case_runs_and_prints_json_lines(
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if name in ON_POSTGRES:
        # The session's server: the start of one takes longer than the tiny run of a case.
        monkeypatch.setenv("TEST_DATABASE_URL", request.getfixturevalue("postgres_service").dsn)
    if name in ON_KAFKA:
        monkeypatch.setenv("TEST_KAFKA_BROKERS", request.getfixturevalue("kafka_service").bootstrap_servers)
    assert main([name, "--quick", "--json"]) == 0
    out, err = capsys.readouterr()
    results = [json.loads(line) for line in out.splitlines()]
    assert results
    for result in results:
        assert list(result) == ["case", "unit", "better", "ours", "peers", "ratio"]
        assert result["case"].partition("/")[0] == name
        assert result["peers"].keys() == result["ratio"].keys()
    if name in EXPECTED:
        missing = {line.split()[2] for line in err.splitlines() if line.startswith("note: peer ")}
        assert {result["case"]: set(result["peers"]) for result in results} == {
            case: peers - missing for case, peers in EXPECTED[name].items()
        }


def test_the_text_report_names_machine_case_and_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emit", "--quick", "--rounds", "1"]) == 0
    out = capsys.readouterr().out
    assert "cores usable" in out.splitlines()[0]
    assert "\nemit: What one audit event costs its caller" in out
    assert "\nemit target: at least 3 times better than queuehandler: " in out


def test_an_unknown_case_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emit", "no_such_case"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("unknown case: no_such_case; known: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("rounds", ["0", "-1", "many", "1.5", ""])
def test_rounds_below_one_are_bad_usage(rounds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["emit", "--rounds", rounds])
    assert exit_.value.code == 2
    assert "--rounds" in capsys.readouterr().err


def test_the_list_says_what_each_case_measures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == cases.names()
    assert all(len(line.split()) > 4 for line in lines)


@pytest.mark.parametrize("name", cases.names())
def test_a_case_says_what_it_does_not_show(name: str) -> None:
    assert "Not shown: " in (cases.load(name).__doc__ or "")


def test_a_missing_peer_is_a_note_and_not_an_end() -> None:
    def absent() -> Contender:
        raise ModuleNotFoundError("no module")

    def changed() -> Contender:
        raise ImportError("cannot import name 'Old'")

    there = Contender("there", print)
    notes: list[str] = []
    peers = [
        Peer("gone", "gone-package", absent),
        Peer("new", "new-package", changed),
        Peer("there", "x", lambda: there),
    ]
    assert installed(peers, notes.append) == [there]
    assert notes == [
        "peer gone not installed: pip install gone-package",
        "peer new left out, its installed version has another API: cannot import name 'Old'",
    ]
