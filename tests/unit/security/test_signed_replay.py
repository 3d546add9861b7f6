"""Single use of a signature: its memory is bounded, safe under threads, and not fooled by a clock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tenaudit import ApiError
from tenaudit.security import ContextSigner, SignatureKey
from tests.unit.security.signed import KEY, Pair, Pairs


def test_a_copy_is_refused_after_the_wall_clock_went_back() -> None:
    pair = Pair(single_use=True)
    sent = pair.sent()
    assert pair.read(sent).actor.id == "u-1"
    pair.clock.advance(100.0)
    assert pair.read(pair.sent()).actor.id == "u-1"
    pair.clock.jump_wall(-100.0)
    pair.refused(sent, "replayed")


def test_room_is_made_by_whichever_signature_ends_first() -> None:
    pair = Pair(single_use=True, used_limit=2)
    pair.signer = ContextSigner(KEY, lifetime=60.0, clock=pair.clock)
    assert pair.read(pair.sent()).actor.id == "u-1"
    pair.signer = ContextSigner(KEY, lifetime=5.0, clock=pair.clock)
    assert pair.read(pair.sent()).actor.id == "u-1"
    pair.refused(pair.sent(), "replay_memory_full")
    pair.clock.advance(10.0)
    assert pair.read(pair.sent()).actor.id == "u-1"


def test_signatures_of_one_end_are_told_apart_within_the_leeway() -> None:
    pair = Pair(single_use=True)
    first, second = pair.sent(), pair.sent()
    pair.clock.advance(31.0)
    assert pair.read(first).actor.id == "u-1"
    pair.clock.advance(1.0)
    assert pair.read(second).actor.id == "u-1"
    pair.refused(first, "replayed")


def test_a_nonce_counts_for_its_own_key() -> None:
    other = SignatureKey.hmac_sha256("k2", b"the next secret of 32 bytes!!!!!")
    pair = Pair(keys=[KEY, other], single_use=True)
    for key in (KEY, other):
        pair.signer = ContextSigner(key, clock=pair.clock, random_bytes=bytes)
        assert pair.read(pair.sent()).actor.id == "u-1"
        pair.refused(pair.sent(), "replayed")


def test_a_refused_signature_is_not_used_up() -> None:
    pair = Pair(single_use=True)
    sent = pair.sent()
    pair.refused([*sent, ("X-Session-ID", "s")], "uncovered_header")
    assert pair.read(sent).actor.id == "u-1"


def test_of_many_threads_one_takes_a_signature() -> None:
    pair = Pair(single_use=True)

    def taken(sent: Pairs) -> bool:
        try:
            pair.read(sent)
        except ApiError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            sent = pair.sent()
            assert sum(pool.map(taken, [sent] * 16)) == 1
    assert set(pair.reasons) == {"replayed"}


def test_the_log_names_reason_key_and_trace_and_no_value(caplog) -> None:
    pair = Pair()
    trace = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    pair.refused([*pair.sent(), ("X-Session-ID", "private-value"), trace], "uncovered_header")
    pair.refused([("X-User-ID", "private-value")], "unsigned")
    first, second = caplog.records
    assert (first.action, first.reason, first.key_id) == ("untrusted_context", "uncovered_header", "k1")
    assert first.trace_id == trace[1].split("-")[1]
    assert (second.reason, second.key_id, second.trace_id) == ("unsigned", None, None)
    assert "private-value" not in caplog.text
