"""Redaction: the grammar of paths, what each action leaves, and the bounds."""

from __future__ import annotations

import copy
import gc
import itertools
import random
import types
from collections.abc import Mapping

import pytest

from tenaudit.audit.redaction import (
    MASK,
    MAX_TAGS,
    MAX_WALK_DEPTH,
    InvalidRedactionPath,
    RedactionRule,
    Redactor,
    compile_paths,
    redact_event_fields,
)
from tenaudit.audit.redaction_paths import PathState

EVENT = {
    "actor_id": "alice@example.com",
    "severity": "info",
    "payload": {
        "card": {"number": "4111111111111111", "cvc": "123", "year": 2030},
        "items": [{"email": "bob@example.org", "n": 1}, {"email": None, "n": 2}, "loose"],
        "person": {"ssn": "078-05-1120", "kin": [{"ssn": "219-09-9999"}, {"deep": [{"ssn": 5}]}]},
        "labels": {"a.b/c": "secret-label", "x": "other-label"},
    },
}


def payload_after(*paths, **options):
    event, _ = redact_event_fields(EVENT, paths, **options)
    return event["payload"]


def test_one_field_is_masked_and_named():
    event, tags = redact_event_fields(EVENT, ["payload.card.number"])
    assert event["payload"]["card"] == {"number": "****1111", "cvc": "123", "year": 2030}
    assert tags == ("payload.card.number:mask",)
    assert EVENT["payload"]["card"]["number"] == "4111111111111111"
    assert event["payload"]["items"] is EVENT["payload"]["items"]


def test_top_level_fields():
    event, tags = redact_event_fields(EVENT, ["actor_id", "severity"])
    assert (event["actor_id"], event["severity"]) == ("****.com", MASK)
    assert tags == ("actor_id:mask", "severity:mask")


def test_every_item_and_one_item():
    assert [item["email"] for item in payload_after("payload.items[*].email")["items"][:2]] == ["****.org", None]
    event, tags = redact_event_fields(EVENT, ["payload.items[0].n", "payload.items[9].n"])
    assert [item["n"] for item in event["payload"]["items"][:2]] == [MASK, 2]
    assert tags == ("payload.items[0].n:mask",)


def test_any_depth_includes_none_and_goes_through_arrays():
    person = payload_after("payload.person.**.ssn")["person"]
    assert person == {"ssn": "****1120", "kin": [{"ssn": "****9999"}, {"deep": [{"ssn": MASK}]}]}
    _, tags = redact_event_fields(EVENT, ["**.ssn"])
    assert tags == (
        "payload.person.kin[*].deep[*].ssn:mask",
        "payload.person.kin[*].ssn:mask",
        "payload.person.ssn:mask",
    )


def test_any_key_of_one_object():
    assert payload_after("payload.labels.*")["labels"] == {"a.b/c": "****abel", "x": "****abel"}


def test_a_quoted_key_may_hold_signs_of_the_grammar():
    event, tags = redact_event_fields(EVENT, ['payload.labels["a.b/c"]'])
    assert event["payload"]["labels"] == {"a.b/c": "****abel", "x": "other-label"}
    assert tags == ('payload.labels["a.b/c"]:mask',)
    odd = {'q"\\]': "secret"}
    assert redact_event_fields(odd, ['["q\\"\\\\]"]'])[0] == {'q"\\]': MASK}


def test_a_place_named_in_a_tag_is_a_path_again():
    event = {"a b": [{"x.y": {"é": "value"}}]}
    _, tags = redact_event_fields(event, ["**.é"])
    (place,) = (tag.removesuffix(":mask") for tag in tags)
    assert redact_event_fields(event, [place])[1] == tags


def test_a_named_step_and_a_wild_one_share_a_place():
    event = {"a": {"b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 2}}, "l": [[1, 2], [1, 2]]}
    redacted, _ = redact_event_fields(event, ["a.b.x", "a.*.y", "l[0][0]", "l[*][1]"])
    assert redacted == {
        "a": {"b": {"x": MASK, "y": MASK}, "c": {"x": 1, "y": MASK}},
        "l": [[MASK, MASK], [1, MASK]],
    }


def test_overlapping_paths_redact_the_outer_one():
    event, tags = redact_event_fields(EVENT, ["payload.card.number", "payload.card", "payload.**.number"])
    assert event["payload"]["card"] == MASK
    assert tags == ("payload.card:mask",)


def test_paths_that_match_nothing_change_nothing():
    event, tags = redact_event_fields(EVENT, ["payload.card.number.x", "payload.items.email", "nope", "**.nope[*]"])
    assert event == EVENT
    assert event is not EVENT
    assert tags == ()
    assert redact_event_fields(EVENT, []) == (EVENT, ())


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("", MASK),
        ("12345678", MASK),
        ("123456789", "****6789"),
        ("x\n\n\n\n\n\n\n\n", "****\n\n\n\n"),
        (MASK, MASK),
        ("****6789", "****6789"),
        ("****67890", "****7890"),
        (12345678901, MASK),
        (1.5, MASK),
        (True, MASK),
        (None, None),
        ({"a": 1}, MASK),
        ([1], MASK),
        ({}, MASK),
    ],
)
def test_what_mask_leaves(value, masked):
    event, tags = redact_event_fields({"f": value}, ["f"])
    assert event == {"f": masked}
    assert tags == (() if masked == value else ("f:mask",))


def test_remove_drops_keys_and_nulls_items():
    event, tags = redact_event_fields(
        EVENT, ["payload.card.cvc", "payload.items[1]", "payload.labels"], action="remove"
    )
    assert event["payload"]["card"] == {"number": "4111111111111111", "year": 2030}
    assert event["payload"]["items"] == [EVENT["payload"]["items"][0], None, "loose"]
    assert "labels" not in event["payload"]
    assert tags == ("payload.card.cvc:remove", "payload.items[1]:remove", "payload.labels:remove")
    assert redact_event_fields(event, ["payload.items[1]"], action="remove") == (event, ())
    assert redact_event_fields({"a": None}, ["a"], action="remove") == ({}, ("a:remove",))


def test_hash_joins_equal_values_and_hides_under_another_key():
    event = {"a": "same", "b": "same", "c": "other", "d": {"x": 1.0, "y": 2}, "e": {"y": 2, "x": 1}, "f": "1", "g": 1}
    paths = ["*"]
    hashed, tags = redact_event_fields(event, paths, action="hash", key=b"k1")
    assert hashed["a"] == hashed["b"] != hashed["c"]
    assert hashed["d"] == hashed["e"]
    assert hashed["f"] != hashed["g"]
    assert tags[0] == "a:hash"
    prefix, _, digest = hashed["a"].partition(":")
    assert (prefix, len(digest), int(digest, 16) > 0) == ("hmac-sha256", 32, True)
    other, _ = redact_event_fields(event, paths, action="hash", key=b"k2")
    assert not set(other.values()) & set(hashed.values())
    assert redact_event_fields(hashed, paths, action="hash", key=b"k1") == (hashed, ())


def test_hash_is_hmac_sha256_of_the_canonical_json():
    # HMAC-SHA256("key", '"value"'), computed with another tool, cut to 128 bits.
    hashed, _ = redact_event_fields({"a": "value"}, ["a"], action="hash", key=b"key")
    assert hashed == {"a": "hmac-sha256:f1c43f70384a385e8447450f39bff4b5"}


@pytest.mark.parametrize("value", ["\ud800", 2**60, float("nan"), {1: 2}, b"raw"])
def test_hash_masks_what_has_no_canonical_json(value):
    hashed, _ = redact_event_fields({"a": value}, ["a"], action="hash", key=b"k")
    assert hashed == {"a": MASK}
    assert redact_event_fields(hashed, ["a"], action="hash", key=b"k") == (hashed, ())


def test_hash_needs_a_key_and_actions_are_known():
    for key in (None, b""):
        with pytest.raises(ValueError, match=r"^key: "):
            redact_event_fields(EVENT, ["actor_id"], action="hash", key=key)
    with pytest.raises(ValueError, match=r"^action: 'blur'"):
        redact_event_fields(EVENT, ["actor_id"], action="blur")


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ("", 0),
        (".a", 0),
        ("a.", 2),
        ("a..b", 2),
        ("a b", 1),
        (" a", 0),
        ("a.b*", 3),
        ("a.***", 4),
        ("a[", 1),
        ("a[-1]", 1),
        ("a[01]", 1),
        ("a[1", 1),
        ("a[1]b", 4),
        ("a[x]", 1),
        ("a.[0]", 2),
        ('a["x]', 1),
        ('a["x\\n"]', 1),
        ("a[9999999999]", 1),
        ("a.**", 4),
        ("**", 2),
        ("a.**.**.b", 4),
        ("a\x00", 1),
        ("a" * 1025, 1024),
    ],
)
def test_bad_paths_are_refused_by_position(path, position):
    with pytest.raises(InvalidRedactionPath) as caught:
        compile_paths(["fine", path])
    assert (caught.value.path, caught.value.position) == (path[:80], position)
    assert caught.value.code == "invalid_redaction_path"
    assert f"position {position}: " in str(caught.value)


def test_a_lone_string_and_too_many_paths_are_refused():
    for call in (compile_paths, Redactor, lambda paths: redact_event_fields(EVENT, paths)):
        with pytest.raises(InvalidRedactionPath, match="give a list of paths"):
            call("actor_id")
    with pytest.raises(InvalidRedactionPath, match="more than 1000 paths"):
        compile_paths([f"a{number}" for number in range(1001)])


def test_compiled_paths_are_kept():
    assert compile_paths(["a.b", "c"]) is compile_paths(("a.b", "c"))


def test_a_redactor_is_a_value_that_does_not_show_its_key():
    redactor = Redactor(["actor_id"], "hash", b"very-secret")
    assert redactor == Redactor(("actor_id",), "hash", b"very-secret")
    assert "very-secret" not in repr(redactor)
    assert redactor(EVENT) == redact_event_fields(EVENT, ["actor_id"], action="hash", key=b"very-secret")


def test_other_mappings_and_tuples_are_walked():
    event = types.MappingProxyType({"a": types.MappingProxyType({"b": ({"c": "secret"}, 1)})})
    assert redact_event_fields(event, ["a.b[*].c"]) == ({"a": {"b": [{"c": MASK}, 1]}}, ("a.b[*].c:mask",))


def test_keys_that_are_no_strings_do_not_match_indexes():
    event = {"a": {0: "zero", None: "none", "0": "text"}}
    assert redact_event_fields(event, ["a[0]"]) == (event, ())
    assert redact_event_fields(event, ["a[0]", "a.*.never"]) == (event, ())
    assert redact_event_fields(event, ["a.*"])[0] == {"a": {0: MASK, None: MASK, "0": MASK}}


def nested(levels, leaf):
    value = {"ssn": leaf}
    for _ in range(levels - 1):
        value = {"k": value}
    return value


def test_what_is_too_deep_to_look_into_is_hidden_as_a_whole():
    fits, _ = redact_event_fields(nested(MAX_WALK_DEPTH, "the-secret"), ["**.ssn"])
    assert str(fits).count(MASK) == 1
    assert "****cret" in str(fits)
    for levels in (MAX_WALK_DEPTH + 1, 100_000):
        deep, tags = redact_event_fields(nested(levels, "the-secret"), ["**.ssn"])
        assert "cret" not in str(deep)
        assert len(tags) == 1
    assert redact_event_fields(nested(100_000, 1), ["k.ssn"])[1] == ()


def test_tags_are_bounded_and_say_that_there_is_more():
    event = {f"k{number:03}": {"ssn": number} for number in range(MAX_TAGS + 1)}
    _, tags = redact_event_fields(event, ["*.ssn"])
    assert len(tags) == MAX_TAGS + 1
    assert tags[0] == "+more:mask"
    del event["k000"]
    _, tags = redact_event_fields(event, ["*.ssn"])
    assert (len(tags), tags[0]) == (MAX_TAGS, "k001.ssn:mask")


def test_hostile_keys_make_no_hostile_tags():
    key = "\x00\ud800" + "x" * 100_000
    event = {key: {key: {key: {key: {key: {key: {"ssn": 1}}}}}}}
    _, (tag,) = redact_event_fields(event, ["**.ssn"])
    tag.encode("utf-8")
    assert len(tag) < 500
    assert "\x00" not in tag


class Counted(Mapping):
    """An object that counts how often it is gone through."""

    def __init__(self, items):
        self.inner = dict(items)
        self.walks = 0

    def __getitem__(self, key):
        return self.inner[key]

    def __iter__(self):
        self.walks += 1
        return iter(self.inner)

    def __len__(self):
        return len(self.inner)


def test_one_walk_serves_all_paths():
    inner = Counted({"a": 1})
    event = Counted({"x": [Counted({"y": inner})]})
    redact_event_fields(event, [f"**.k{a}.**.k{b}" for a in range(20) for b in range(20)])
    assert (event.walks, inner.walks) == (2, 1)  # the second walk of the event is the final copy


def test_many_any_depth_steps_do_not_backtrack():
    event = {"a": "leaf"}
    for _ in range(60):
        event = {"a": event, "b": ["leaf"]}
    before = copy.deepcopy(event)
    path = ".".join(["**.a"] * 25) + ".zzz"
    assert redact_event_fields(event, [path, path + ".*.*", "**.b.*.*.*.*.*.*.*.zzz"]) == (before, ())


def test_states_are_shared_and_their_number_is_bounded():
    start = compile_paths(["**.a" + ".*" * 11 + ".z"]).start
    assert start.after_key("x") is start.after_key("y") is start.after_item(3)

    # Which of the last 12 steps were `a` tells 2^12 states apart.
    def after(word):
        state = start
        for letter in word:
            state = state.after_key(letter)
        return state

    words = ["".join(letters) for letters in itertools.product("ab", repeat=12)]
    states = [after(word) for word in words]
    assert all(state.after_key("z").hit == word.startswith("a") for word, state in zip(words, states, strict=True))
    assert 0 < sum(after(word) is state for word, state in zip(words, states, strict=True)) <= 512


def test_each_rule_has_its_own_action_and_the_one_that_leaves_least_wins():
    redactor = Redactor(
        [
            RedactionRule("payload.card.number"),
            RedactionRule("payload.card.*", "hash"),
            RedactionRule("payload.**.ssn", "remove"),
            "payload.items[*].email",
        ],
        "mask",
        b"key",
    )
    event, tags = redactor(EVENT)
    card = event["payload"]["card"]
    assert {value[:12] for value in card.values()} == {"hmac-sha256:"}
    assert "ssn" not in event["payload"]["person"]
    assert event["payload"]["items"][0]["email"] == "****.org"
    assert tags == (
        "payload.card.*:hash",
        "payload.card.number:hash",
        "payload.items[*].email:mask",
        "payload.person.kin[*].deep[*].ssn:remove",
        "payload.person.kin[*].ssn:remove",
        "payload.person.ssn:remove",
    )


def test_a_rule_is_checked_like_a_path():
    with pytest.raises(ValueError, match="action: 'blur' is not one of"):
        Redactor([RedactionRule("a", "blur")])
    with pytest.raises(ValueError, match="key: the action hash needs one"):
        Redactor([RedactionRule("a", "hash")])
    with pytest.raises(InvalidRedactionPath, match="give a list"):
        Redactor(RedactionRule("a"))


def test_what_lies_too_deep_is_redacted_by_the_action_that_leaves_least():
    deep = value = {}
    for _ in range(MAX_WALK_DEPTH):
        value["a"] = value = {}
    value["secret"] = 1
    redactor = Redactor([RedactionRule("**.secret", "mask"), RedactionRule("**.other", "remove")])
    event, tags = redactor(deep)
    assert "secret" not in str(event)
    assert len(tags) == 1
    assert tags[0].endswith(":remove")


@pytest.mark.parametrize("wild", [False, True])
def test_a_plan_and_a_look_at_everything_leave_the_same(wild):
    # A path that any key may lead on makes the walk look at every key; without one the places are known beforehand.
    rules = [
        RedactionRule("payload.card", "hash"),
        RedactionRule("payload.items[*].email", "remove"),
        RedactionRule("payload.person.kin[*].deep[*].ssn", "remove"),
        "payload.person.kin[*].ssn",
        "payload.labels",
        "payload.missing.deep.down",
        *([RedactionRule("*.nowhere")] if wild else []),
    ]
    event, tags = Redactor(rules, "mask", b"key")(EVENT)
    assert event["payload"]["items"] == [{"n": 1}, {"n": 2}, "loose"]
    assert event["payload"]["person"]["kin"] == [{"ssn": "****9999"}, {"deep": [{}]}]
    assert event["payload"]["labels"] == MASK
    assert event["payload"]["card"].startswith("hmac-sha256:")
    assert tags == (
        "payload.card:hash",
        "payload.items[*].email:remove",
        "payload.labels:mask",
        "payload.person.kin[*].deep[*].ssn:remove",
        "payload.person.kin[*].ssn:mask",
    )


def test_more_names_than_an_object_has_fields_are_looked_for_by_its_fields():
    names = [f"n{number}" for number in range(100)]
    event, tags = Redactor([f"payload.{name}" for name in names])({"payload": {"n7": 1, "x": 2}})
    assert (event, tags) == ({"payload": {"n7": MASK, "x": 2}}, ("payload.n7:mask",))
    event, tags = Redactor([f"payload.{name}" for name in names])({"payload": dict.fromkeys(names, 1)})
    assert len(tags) == MAX_TAGS + 1
    assert set(event["payload"].values()) == {MASK}


def test_a_key_that_a_wild_card_ends_at_is_not_told():
    redacted, tags = Redactor(["payload.by_mail.*"], "remove")({"payload": {"by_mail": {"bob@example.org": 1}}})
    assert (redacted, tags) == ({"payload": {"by_mail": {}}}, ("payload.by_mail.*:remove",))


def test_hostile_keys_do_not_make_a_redactor_grow():
    compiled = compile_paths(["payload.**.secret", "payload.*.other"])
    redactor = Redactor(["payload.**.secret", "payload.*.other"])
    for number in range(300):
        redactor({"payload": {f"k{number}": {f"l{number}": {"secret": 1}, "other": 2}}})
    states = list(compiled._states.values())
    assert len(states) < 20
    assert max(len(state._steps) for state in states) <= 16
    assert max(len(steps) for state in states for steps in state._steps.values()) <= 3


def test_hostile_chains_of_keys_that_rules_name_grow_nothing():
    chance = random.Random(4711)
    names = [f"k{number}" for number in range(12)]
    compiled = compile_paths([f"payload.**.{name}.**.x{name}" for name in names])

    def states():
        gc.collect()
        return sum(isinstance(one, PathState) for one in gc.get_objects())

    def walked():
        for _ in range(300):
            state, place = compiled.start, ""
            for key in ["payload", *chance.choices(names, k=25)]:
                below = state.after_key(key)
                place = state.step(state.steps_at(place), place, key, below)
                state = below

    walked()
    before = states()
    walked()
    assert states() <= before + 30
