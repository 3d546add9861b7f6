"""Redaction rules from TOML and from the environment: read whole, or refused by file, line and key."""

from __future__ import annotations

import os
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ConfigurationError
from tenaudit.audit import AuditEvent, RedactionPolicy, RedactionRule
from tenaudit.audit.redaction_file import environment_rules, file_rules
from tenaudit.testing.conformance.events import an_event

TENANT, OTHER = UUID("7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"), UUID(int=2)
MANY = [f"payload.x{number}" for number in range(1001)]
SECRET = "a secret of the service"
WHOLE = f"""
# The rules of the platform.
[redaction]
mode = "enforce"
detect = ["card", "email"]
mask = ["payload.card.number", 'payload.labels["a.b"]']
remove = ["payload.**.ssn"]
hash = ["payload.iban"]
hash_key_env = "REDACT_KEY"

[redaction.tenants.{TENANT}]
mask = ["payload.phone"]
"""


def policy_of(tmp_path, text, environ=None):
    path = tmp_path / "redaction.toml"
    path.write_text(text, encoding="utf-8")
    return RedactionPolicy.from_toml(path, environ={} if environ is None else environ, registry=CollectorRegistry())


def seen(policy, tenant, **payload):
    record, _ = policy({"tenant_id": str(tenant), "payload": payload})
    return record["payload"]


def test_a_file_says_what_becomes_of_which_field(tmp_path):
    policy = policy_of(tmp_path, WHOLE, {"REDACT_KEY": SECRET})
    payload = {
        "card": {"number": "4111111111111111"},
        "labels": {"a.b": "x"},
        "person": {"ssn": "1", "name": "A"},
        "iban": "DE89370400440532013000",
        "phone": "555-0100-1234",
        "note": "to bob@example.org",
    }
    for tenant, phone in ((TENANT, "****1234"), (OTHER, "555-0100-1234")):
        shown = seen(policy, tenant, **payload)
        assert shown.pop("iban").startswith("hmac-sha256:")
        assert shown == {
            "card": {"number": "****1111"},
            "labels": {"a.b": "****"},
            "person": {"name": "A"},
            "phone": phone,
            "note": "to ****.org",
        }


def test_the_key_is_what_the_variable_or_the_file_holds(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "redact.key").write_bytes(SECRET.encode() + b"\r\n")
    by_file = policy_of(tmp_path, '[redaction]\nhash = ["payload.x"]\nhash_key_file = "keys/redact.key"\n')
    by_name = policy_of(
        tmp_path, '[redaction]\nhash = ["payload.x"]\nhash_key_env = "REDACT_KEY"\n', {"REDACT_KEY": SECRET}
    )
    by_hand = RedactionPolicy([RedactionRule("payload.x", "hash")], key=SECRET.encode(), registry=CollectorRegistry())
    other = policy_of(
        tmp_path, '[redaction]\nhash = ["payload.x"]\nhash_key_env = "REDACT_KEY"\n', {"REDACT_KEY": SECRET + "!"}
    )
    hashed = [seen(policy, TENANT, x="value")["x"] for policy in (by_file, by_name, by_hand, other)]
    assert hashed[0] == hashed[1] == hashed[2] != hashed[3]
    assert SECRET not in repr(file_rules(tmp_path / "redaction.toml", {"REDACT_KEY": SECRET}))


@pytest.mark.parametrize("mode", ["off", "log"])
def test_a_file_may_switch_its_rules_off(tmp_path, mode):
    policy = policy_of(tmp_path, f'[redaction]\nmode = "{mode}"\nmask = ["payload.x"]\n')
    assert (policy.mode, seen(policy, TENANT, x="value")) == (mode, {"x": "value"})
    assert policy_of(tmp_path, '[redaction]\nmode = "off"\n').mode == "off"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ": there is no table [redaction]"),
        ("redaction = 1\n", ":1: there is no table [redaction]"),
        ("[redactions]\nmask = []\n", ":1: unknown key 'redactions'"),
        ("[redaction\n", "at line 1"),
        ('[redaction]\nmask = ["a"]\nmask = ["b"]\n', "at line 3"),
        ("[redaction]\nmask = []\n", ":1: nothing is redacted: list paths in mask, remove, hash or detect"),
        ('[redaction]\n\nmasks = ["actor_id"]\n', ":3: unknown key 'redaction.masks'; known are mask, "),
        ('[redaction]\nmask = "actor_id"\n', ":2: redaction.mask must be a list of paths in quotes"),
        ("[redaction]\nmask = [1]\n", ":2: redaction.mask must be a list of paths in quotes"),
        ('[redaction]\npayload.card = "mask"\n', ":2: unknown key 'redaction.payload'"),
        ('[redaction]\nmask = [\n  "actor_id",\n  "payload.[",\n]\n', ":4: redaction.mask: redaction path 'payload.['"),
        ('[redaction]\nremove = ["event_id"]\n', ":2: redaction.remove: 'event_id': a rule begins with one of actor"),
        ('[redaction]\ndetect = ["card",\n "name"]\n', ":3: redaction.detect: 'name' is not one of card, iban"),
        ('[redaction]\ndetect = "card"\n', ":2: redaction.detect must be a list of detectors in quotes"),
        ('[redaction]\nmode = "on"\nmask = ["actor_id"]\n', ":2: redaction.mode must be one of off, log, enforce"),
        ('[redaction]\nmode = ["log"]\nmask = ["actor_id"]\n', ":2: redaction.mode must be one of off, log, enforce"),
        ('[redaction]\nhash = ["actor_id"]\n', ":2: redaction.hash needs a key; name hash_key_env or hash_key_file"),
        (
            '[redaction]\nhash = ["actor_id"]\nhash_key = "12345678901234567"\n',
            ":3: redaction.hash_key: a secret does not stand in this file",
        ),
        ("[redaction]\nhash_key_env = 1\n", ":2: redaction.hash_key_env must be a name in quotes"),
        ('[redaction]\nhash_key_env = ""\n', ":2: redaction.hash_key_env must be a name in quotes"),
        ('[redaction]\nhash_key_env = "12345678901234567"\n', ":2: redaction.hash_key_env is no name of an"),
        ('[redaction]\nhash_key_env = "NOT_THERE"\n', ":2: redaction.hash_key_env: the environment variable that it"),
        ('[redaction]\nhash_key_env = "SHORT"\n', ":2: redaction.hash_key_env: the key has less than 16 bytes"),
        ('[redaction]\nhash_key_file = "no.key"\n', ":2: redaction.hash_key_file cannot be read: No such file"),
        ('[redaction]\nhash_key_file = "."\n', ":2: redaction.hash_key_file cannot be read: "),
        ('[redaction]\nhash_key_file = "a\\u0000b"\n', ":2: redaction.hash_key_file cannot be read: no regular file"),
        ('[redaction]\nhash_key_file = "short.key"\n', ":2: redaction.hash_key_file: the key has less than 16 bytes"),
        (
            '[redaction]\nhash_key_env = "LONG"\nhash_key_file = "short.key"\n',
            ":3: redaction: name hash_key_env or hash_key_file, not both",
        ),
        ("[redaction]\ntenants = 1\n", ":2: redaction.tenants must hold a table for each tenant"),
        ('[redaction.tenants.acme]\nmask = ["actor_id"]\n', ":1: redaction.tenants: 'acme' is no UUID"),
        (f"[redaction.tenants]\n{TENANT} = 1\n", f":2: redaction.tenants.{TENANT} must be a table"),
        (
            f'[redaction.tenants.{TENANT}]\nmode = "off"\n',
            ":2: unknown key 'mode' of a tenant; known are mask, remove, hash",
        ),
        (
            f'[redaction.tenants.{TENANT}]\nmask = ["service"]\n',
            f":2: redaction.tenants.{TENANT}.mask: 'service': a rule begins with one of",
        ),
        (
            f'[redaction.tenants.{TENANT}]\nmask=[]\n[redaction.tenants.{str(TENANT).upper()}]\nmask = ["actor_id"]\n',
            f":3: redaction.tenants: {TENANT} has two tables",
        ),
        (
            f"[redaction]\nmask = {MANY[:900]}\n[redaction.tenants.{TENANT}]\nmask = {MANY[900:]}\n",
            ":1: more than 1000 paths for one tenant",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_file_line_and_key(tmp_path, text, says):
    (tmp_path / "short.key").write_text("short\n")
    with pytest.raises(ConfigurationError) as refused:
        policy_of(tmp_path, text, {"SHORT": "short", "LONG": "a secret of the service"})
    told = str(refused.value)
    assert told.startswith(f"{tmp_path}/redaction.toml")
    assert says in told
    assert "\n" not in told
    assert "12345678901234567" not in told


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, make):
    path = tmp_path / "redaction.toml"
    make(path)
    with pytest.raises(ConfigurationError, match=r"redaction\.toml: "):
        RedactionPolicy.from_toml(path, registry=CollectorRegistry())


def test_the_environment_of_the_process_is_the_usual_one(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIT_REDACT_FIELDS", "payload.x")
    monkeypatch.setenv("REDACT_KEY", SECRET)
    assert seen(RedactionPolicy.from_env(registry=CollectorRegistry()), TENANT, x="value", y="v") == {
        "x": "****", "y": "v",
    }  # fmt: skip
    (tmp_path / "redaction.toml").write_text(WHOLE)
    policy = RedactionPolicy.from_toml(tmp_path / "redaction.toml", registry=CollectorRegistry())
    assert seen(policy, TENANT, iban="x")["iban"].startswith("hmac-sha256:")


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ("", []),
        (" , ,", []),
        ("actor_id", ["actor_id"]),
        ("payload.card.number, payload.**.ssn ,", ["payload.card.number", "payload.**.ssn"]),
        ('payload["a,b"],payload["c\\",d"].x', ['payload["a,b"]', 'payload["c\\",d"].x']),
    ],
)
def test_paths_stand_apart_by_commas(fields, paths):
    assert [rule.path for rule in environment_rules({"AUDIT_REDACT_FIELDS": fields}).rules] == paths


@pytest.mark.parametrize(
    ("mode", "wanted"), [("", "enforce"), ("off", "off"), (" Log ", "log"), ("enforce", "enforce")]
)
def test_the_mode_of_the_environment(mode, wanted):
    environ = {"AUDIT_REDACT_FIELDS": "actor_id", "AUDIT_REDACT_MODE": mode}
    assert RedactionPolicy.from_env(environ, registry=CollectorRegistry()).mode == wanted


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"AUDIT_REDACT_MODE": "on"}, "AUDIT_REDACT_MODE must be one of off, log, enforce, not 'on'"),
        ({"AUDIT_REDACT_FIELDS": "payload.["}, "AUDIT_REDACT_FIELDS: redaction path 'payload.['"),
        ({"AUDIT_REDACT_FIELDS": 'payload["a,actor_id'}, "AUDIT_REDACT_FIELDS: redaction path"),
        ({"AUDIT_REDACT_FIELDS": "service"}, "AUDIT_REDACT_FIELDS: 'service': a rule begins with one of"),
        ({"AUDIT_REDACT_FIELDS": ",".join(MANY)}, "AUDIT_REDACT_FIELDS: redaction path"),
    ],
)  # fmt: skip
def test_a_fault_of_the_environment_is_named_by_its_variable(environ, says):
    with pytest.raises(ConfigurationError) as refused:
        RedactionPolicy.from_env(environ, registry=CollectorRegistry())
    assert str(refused.value).startswith(says)


def test_rules_add_up_and_the_first_mode_and_key_stay(tmp_path):
    path = tmp_path / "redaction.toml"
    path.write_text(WHOLE)
    ours = file_rules(path, {"REDACT_KEY": SECRET})
    both = ours.plus(environment_rules({"AUDIT_REDACT_FIELDS": "actor_id", "AUDIT_REDACT_MODE": "log"}))
    assert (both.mode, both.key, both.detect) == ("enforce", SECRET.encode(), ("card", "email"))
    assert [rule.path for rule in both.rules][-1] == "actor_id"
    twice = ours.plus(ours)
    assert (twice.detect, len(twice.tenants[TENANT])) == (("card", "email"), 2)
    assert environment_rules({}).plus(environment_rules({"AUDIT_REDACT_MODE": "log"})).mode == "log"
    assert not environment_rules({"AUDIT_REDACT_MODE": "log"}).redacts


def test_a_variable_that_is_no_text_is_the_bytes_that_it_holds(tmp_path):
    raw = b"\xff" * 16
    (tmp_path / "redaction.toml").write_text('[redaction]\nhash = ["actor_id"]\nhash_key_env = "RAW"\n')
    assert file_rules(tmp_path / "redaction.toml", {"RAW": os.fsdecode(raw)}).key == raw


def test_what_a_reader_is_shown_is_an_event():
    rules = [RedactionRule("payload", "remove"), RedactionRule("actor_type", "remove"), "actor_id"]
    policy = RedactionPolicy(rules, registry=CollectorRegistry())
    shown = policy.shown(an_event(0, actor_id="alice@example.com"))
    assert shown == AuditEvent.model_validate(shown.record())
    assert (shown.actor_id, shown.actor_type, shown.payload) == ("****.com", "****", {})
    assert shown.redactions == ("actor_id:mask", "actor_type:remove", "payload:remove")
